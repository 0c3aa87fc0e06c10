import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage
import Vocabulary

/// Signals to a running supervisor. Its pid is valid only while it holds the job's lock.
enum Signals {
  static func supervisor(of reader: JobReader) throws -> LiveRecord? {
    guard try reader.isSupervised(), let live = try reader.store.live() else { return nil }
    guard ProcessTable.startTime(of: live.pid) == live.startTime else {
      throw Failure(
        .gaveUp, "the supervisor of job '\(reader.name)' is still starting",
        path: reader.directory.string, hints: ["holdfast status \(reader.argument)  try again in a moment"])
    }
    return live
  }

  static func send(_ signal: Int32, _ live: LiveRecord, _ reader: JobReader) throws {
    guard kill(live.pid, signal) == 0 else {
      throw Failure(
        .io, "cannot signal the supervisor (pid \(live.pid))", path: reader.directory.string,
        why: String(cString: strerror(errno)), hints: ["ps -o pid,user,args -p \(live.pid)  check its owner"])
    }
  }
}
