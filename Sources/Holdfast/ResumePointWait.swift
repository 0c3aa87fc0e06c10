import Glibc
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// Waits until the supervisor, which reads the resume point in full while this process starts, reports the
/// result.
struct ResumePointWait {
  let ring: RingWriter
  let runDirectory: FilePath

  /// - Returns: the resume point, which may have been replaced, and its file as far as it was mapped meanwhile.
  func run(_ resumeFile: ResumeFile?) throws(HoldfastError) -> (ResumeFile?, MappedFile?) {
    // Its pages are mapped as they are verified, which would take as long as copying them.
    let mapping = resumeFile?.ranks.first?.point.flatMap { map(FilePath($0.path)) }
    var mapped = 0
    var seen = ring.verifiedBytes
    var deadline = Clock.monotonicNanoseconds + Self.verdictTimeout
    var pause: UInt32 = 100
    while ring.verdict == .pending {
      if let mapping { mapped = mapping.populateResident(from: mapped) }
      usleep(pause)
      pause = min(pause * 2, 10_000)
      ring.beat()
      if ring.verifiedBytes != seen {
        seen = ring.verifiedBytes
        deadline = Clock.monotonicNanoseconds + Self.verdictTimeout
      }
      guard Clock.monotonicNanoseconds < deadline else {
        throw HoldfastError(
          .cannotRestore, "the supervisor did not report whether the resume point is intact",
          path: runDirectory,
          hint: "check whether it is stopped or its disk is stalled: holdfast status")
      }
    }
    if ring.verdict == .replaced {
      do {
        return (try ResumeFile.read(in: runDirectory), nil)
      } catch {
        throw HoldfastError(.cannotRestore, error)
      }
    }
    return (resumeFile, mapping)
  }

  /// If this fails, the later load reports it.
  private func map(_ path: FilePath) -> MappedFile? {
    guard ring.verdict == .pending, let file = try? OpenFile(path, .readOnly), let size = try? file.size()
    else { return nil }
    return try? MappedFile(file, count: size, access: .readOnly, faults: .fatal)
  }

  /// Nanoseconds without progress of the supervisor.
  private static let verdictTimeout: UInt64 = 60_000_000_000
}
