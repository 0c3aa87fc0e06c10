import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// Which processes are the attempt's: the trainer, written down before its program begins, and what it started
/// since. Kept beside the ring, which goes with the machine, as they do; removed when they are known to be gone.
struct TrainerRecord: Hashable, Codable {
  static let name = "trainer.json"

  var formatVersion = 1
  var jobID: String
  var stateID: String
  var attempt: UInt64
  var boot: String
  /// Of whose numbers these are.
  var pidNamespace: String
  /// Also the number of its session.
  var trainer: ProcessIdentity
  var others: [ProcessIdentity] = []
  /// Some were seen to be there and could not be looked at (`hidepid=2`, another user): what they started is not
  /// known. Absent in records of earlier versions.
  var hasHidden: Bool?

  private enum CodingKeys: String, CodingKey {
    case formatVersion, attempt, boot, pidNamespace, trainer, others, hasHidden
    // As the decoder makes them of `job_id` and `state_id`.
    case jobID = "jobId"
    case stateID = "stateId"
  }

  func write(in directory: FilePath) throws(POSIXError) {
    try FileSystem.replace(
      directory.appending(Self.name), with: JSON.encode(self), durable: false, clearing: true)
  }

  /// - Returns: nil where there is none that can be read.
  static func read(in directory: FilePath) -> TrainerRecord? {
    guard let bytes = try? FileSystem.read(directory.appending(name)) else { return nil }
    return JSON.decode(bytes)
  }

  static func remove(in directory: FilePath) {
    // One that stays names processes that are gone: no harm.
    try? FileSystem.remove(directory.appending(name))
  }
}
