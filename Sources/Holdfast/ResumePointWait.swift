import Glibc
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// The supervisor reads the resume point in full while this process starts; here it waits for the verdict.
struct ResumePointWait {
  let ring: RingWriter
  let runDirectory: FilePath

  /// - Returns: what to resume from, which may have been replaced.
  func run(_ resumeFile: ResumeFile?) throws(HoldfastError) -> ResumeFile? {
    var seen = ring.verifiedBytes
    var patienceEnds = Clock.monotonicNanoseconds + Self.verdictPatience
    var pause: UInt32 = 100
    while ring.verdict == .pending {
      usleep(pause)
      pause = min(pause * 2, 10_000)
      ring.beat()
      if ring.verifiedBytes != seen {
        seen = ring.verifiedBytes
        patienceEnds = Clock.monotonicNanoseconds + Self.verdictPatience
      }
      guard Clock.monotonicNanoseconds < patienceEnds else {
        throw HoldfastError(
          .cannotRestore, "the supervisor does not say whether the resume point is whole", path: runDirectory,
          hint: "is it stopped, or its disk stalled? holdfast status shows how it is")
      }
    }
    if ring.verdict == .replaced {
      do {
        return try ResumeFile.read(in: runDirectory)
      } catch {
        throw HoldfastError(.cannotRestore, error)
      }
    }
    return resumeFile
  }

  /// Without any progress of the supervisor's.
  private static let verdictPatience: UInt64 = 60_000_000_000
}
