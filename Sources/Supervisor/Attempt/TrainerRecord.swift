import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// The attempt's processes: the trainer, recorded before exec, and what it started since. Stored beside the ring,
/// which does not survive a reboot either; removed when all of them are gone.
struct TrainerRecord: Hashable, Codable {
  static let name = "trainer.json"

  var formatVersion = 1
  var jobID: String
  var stateID: String
  var attempt: UInt64
  var boot: String
  /// In which the pids are valid.
  var pidNamespace: String
  /// Also the number of its session.
  var trainer: ProcessIdentity
  var others: [ProcessIdentity] = []
  /// Some processes could not be inspected (`hidepid=2`, another user), so what they started is unknown. Absent in
  /// records of earlier versions.
  var hasHidden: Bool?

  private enum CodingKeys: String, CodingKey {
    case formatVersion, attempt, boot, pidNamespace, trainer, others, hasHidden
    // As the decoder converts `job_id` and `state_id`.
    case jobID = "jobId"
    case stateID = "stateId"
  }

  func write(in directory: FilePath) throws(POSIXError) {
    try FileSystem.replace(
      directory.appending(Self.name), with: JSON.encode(self), durable: false, clearing: true)
  }

  /// - Returns: nil if there is no readable record.
  static func read(in directory: FilePath) -> TrainerRecord? {
    guard let bytes = try? FileSystem.read(directory.appending(name)) else { return nil }
    return JSON.decode(bytes)
  }

  static func remove(in directory: FilePath) {
    // If it stays, it names processes that are gone, which is harmless.
    try? FileSystem.remove(directory.appending(name))
  }
}
