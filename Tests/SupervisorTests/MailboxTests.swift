import Glibc
import POSIX
import SystemPackage
import Testing

@testable import Supervisor

@Suite struct MailboxTests {
  #if DEBUG
  /// A failed write to the eventfd wakes no thread. The posted messages are found nevertheless.
  @Test func lostWakeUpLosesNoMessage() throws {
    let mailbox = try Mailbox<Int>()
    let thread = pthread_self()
    let injector: Faults.Injector = { operation, _ in
      operation == "eventfd_write" && pthread_self() == thread ? .badFileDescriptor : nil
    }
    Faults.with(injector) {
      mailbox.post(1)
      mailbox.post(2)
    }
    let loop = try EventLoop()
    var taken: [Int] = []
    func take() {
      taken += mailbox.drain()
      if !taken.isEmpty { loop.stop() }
    }
    var wakes = 0
    try loop.add(mailbox.descriptor) {
      wakes += 1
      take()
    }
    try loop.run(checkingEvery: .milliseconds(20)) { take() }
    #expect(taken == [1, 2] && wakes == 0)
  }
  #endif
}
