import Glibc
import JobStore
import POSIX
import SystemPackage

/// Commits as fast as possible and logs each commit, until it kills itself.
///
/// `KilledWriter STATE-DIRECTORY NOTES MILLISECONDS`
@main
struct KilledWriter {
  static func main() throws {
    let arguments = CommandLine.arguments
    let store = try JobStore(stateDirectory: FilePath(arguments[1]), .create)
    let notes = try OpenFile(FilePath(arguments[2]), .writeOnly, create: .ifAbsent(mode: 0o600))
    try notes.seek(to: notes.size())
    let milliseconds = UInt32(arguments[3])!
    let writer = try StoreWriter(store, lookInterval: .milliseconds(1)) { _ in }
    // The time begins with the first commit, as a writer without one proves nothing.
    var number: UInt64 = 0
    while true {
      number += 1
      let record = AttemptRecord(
        attempt: number, generation: number, boot: String(repeating: "x", count: Int(number % 3000)),
        startedAtNs: 0, resumedFrom: nil)
      guard writer.submitAndWait([.attempt(record)]) else { continue }
      Array("\(number)\n".utf8).withUnsafeBytes { _ = write(notes.descriptor, $0.baseAddress, $0.count) }
      if number == 1 {
        try NativeThread.start {
          usleep(milliseconds * 1000)
          kill(getpid(), SIGKILL)
        }
      }
    }
  }
}
