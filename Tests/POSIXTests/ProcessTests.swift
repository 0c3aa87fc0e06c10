import Glibc
import SystemPackage
import Testing

@testable import POSIX

@Suite struct ProcessTests {
  /// Children die with the thread that started them, so each test runs on its own thread.
  private func onOneThread(_ body: @escaping @Sendable () throws -> Void) throws {
    let gate = Gate()
    try NativeThread.start {
      do { try body() } catch { Issue.record(error) }
      gate.open()
    }
    gate.wait()
  }

  private static func run(_ script: String, environment: [String] = []) throws -> ChildProcess.Status {
    let child = try ChildProcess(
      .init(
        path: "/bin/sh", arguments: ["sh", "-c", script], environment: ["PATH=/usr/bin:/bin"] + environment))
    var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&exit, 1, -1)
    guard let status = try child.reap() else { throw POSIXError("wait4", errno: .noChildProcess) }
    return status
  }

  @Test func statusIsReported() throws {
    try onOneThread {
      let left = try Self.run("exit 7")
      let killed = try Self.run("kill -KILL $$")
      #expect(left == .exited(7) && killed == .signaled(9))
    }
  }

  @Test func childHasNoInheritedState() throws {
    try onOneThread {
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_SETMASK, &all, nil)
      let leak = open("/dev/null", O_RDONLY)
      defer { close(leak) }
      // No blocked signals, its own session, and no inherited descriptor.
      let status = try Self.run(
        """
        grep -q '^SigBlk:\\s*0000000000000000$' /proc/self/status || exit 1
        [ "$(cut -d' ' -f6 /proc/$$/stat)" = "$$" ] || exit 2
        [ ! -e /proc/$$/fd/\(leak) ] || exit 3
        """)
      #expect(status == .exited(0))
    }
  }

  @Test func childDiesWithItsThread() throws {
    nonisolated(unsafe) var descriptor: CInt = -1
    try onOneThread {
      let child = try ChildProcess(.init(path: "/bin/sleep", arguments: ["sleep", "1000"], environment: []))
      descriptor = dup(child.descriptor)
    }
    defer { close(descriptor) }
    var exit = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    #expect(poll(&exit, 1, 60_000) == 1)
    var information = siginfo_t()
    #expect(waitid(P_PIDFD, id_t(descriptor), &information, WEXITED) == 0)
  }

  @Test func execErrorsAreReported() throws {
    try onOneThread {
      func errno(_ path: FilePath) -> Errno? {
        do {
          _ = try ChildProcess(.init(path: path, arguments: ["x"], environment: []))
          return nil
        } catch {
          #expect(error.operation == "execve")
          return error.errno
        }
      }
      #expect(errno("/no/such/program") == .noSuchFileOrDirectory)
      #expect(errno("/etc/passwd") == .permissionDenied)
    }
  }

  @Test func programsAreFoundLikeInAShell() throws {
    #expect(try Executable.find("sh", searchPath: "/nowhere:/bin").string == "/bin/sh")
    #expect(throws: Executable.Failure.notFound) { try Executable.find("sh", searchPath: "/nowhere") }
    #expect(throws: Executable.Failure.notFound) { try Executable.find("", searchPath: "/bin") }
    #expect(throws: Executable.Failure.notExecutable("/etc/passwd", .permissionDenied)) {
      try Executable.find("passwd", searchPath: "/etc:/nowhere")
    }
    #expect(throws: Executable.Failure.notExecutable("/etc", .permissionDenied)) {
      try Executable.find("/etc", searchPath: "")
    }
    #expect(throws: Executable.Failure.notExecutable("/etc/passwd/x", .notDirectory)) {
      try Executable.find("/etc/passwd/x", searchPath: "")
    }
    // As execvp(3), skip an entry of the search path that is not a directory.
    #expect(throws: Executable.Failure.notFound) { try Executable.find("x", searchPath: "/etc/passwd") }
  }

  @Test func timerFiresOnceAndCanBeDisarmed() throws {
    let timer = try DeadlineTimer()
    var source = pollfd(fd: timer.descriptor, events: Int16(POLLIN), revents: 0)
    try timer.set(.zero)
    #expect(poll(&source, 1, 60_000) == 1)
    timer.acknowledge()
    #expect(poll(&source, 1, 0) == 0)
    try timer.set(.zero)
    try timer.set(nil)
    #expect(poll(&source, 1, 0) == 0)
  }

  @Test func timestampsAreRFC3339() {
    #expect(Timestamp.text(0) == "1970-01-01T00:00:00.000Z")
    #expect(Timestamp.text(1_767_225_599_987_654_321) == "2025-12-31T23:59:59.987Z")
    #expect(Timestamp.nanoseconds("2025-12-31T23:59:59.987Z") == 1_767_225_599_987_000_000)
    for text in ["", "now", "2025-12-31", "1969-12-31T23:59:59.000Z", "9999-01-01T00:00:00.000Z"] {
      #expect(Timestamp.nanoseconds(text) == nil, "\(text)")
    }
  }
}
