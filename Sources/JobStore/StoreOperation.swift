import Reporting
import TrainerProtocol

/// One change of the store, applied by the writer in the order of submission.
public struct StoreOperation: Sendable {
  enum Target: Sendable { case checkpoints, attempts, events, meta }

  let target: Target
  /// Empty for events, which the writer numbers.
  let key: [UInt8]
  /// nil to delete.
  let value: [UInt8]?

  public static func attempt(_ record: AttemptRecord) -> StoreOperation {
    .init(target: .attempts, key: Key.number(record.attempt), value: JSON.encode(record))
  }

  public static func checkpoint(_ record: CheckpointRecord) -> StoreOperation {
    let key = Key.checkpoint(step: record.step, cut: record.cut)
    return .init(target: .checkpoints, key: key, value: JSON.encode(record))
  }

  public static func removeCheckpoint(_ record: CheckpointRecord) -> StoreOperation {
    .init(target: .checkpoints, key: Key.checkpoint(step: record.step, cut: record.cut), value: nil)
  }

  public static func event(_ record: EventRecord) -> StoreOperation {
    .init(target: .events, key: [], value: JSON.encode(record))
  }

  /// A JSON document in `meta`.
  public static func document(_ key: String, _ value: some Encodable) -> StoreOperation {
    .init(target: .meta, key: Array(key.utf8), value: JSON.encode(value))
  }

  public static func job(_ record: JobRecord) -> StoreOperation { document("job", record) }
  public static func live(_ record: LiveRecord) -> StoreOperation { document(liveKey, record) }
  private static let liveKey = "live"

  /// Whether it changes the live record, which is only for readers.
  var isLive: Bool { target == .meta && key == Array(Self.liveKey.utf8) }

  public static func deviation(_ deviation: Deviation) -> StoreOperation {
    document(JobStore.deviationKey, deviation)
  }
}
