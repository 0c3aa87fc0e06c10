import Reporting
import TrainerProtocol

/// A record from a damaged store that is intact: its checksum is correct, or it is a document of its kind
/// that matches its key.
struct SalvagedRecord {
  /// The file contains databases but no records of a job.
  struct Foreign: Error {}
  struct NewerVersion: Error { var version: Int }

  enum Kind { case snapshot, checkpoint, attempt, event, meta }

  let kind: Kind
  let key: [UInt8]
  let value: [UInt8]
  private let isStray: Bool

  /// A record found in its database.
  /// - Returns: nil if it is damaged or not a record of a job.
  /// - Throws: `NewerVersion`.
  init?(database: String, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
    switch database {
    case "snapshots": kind = .snapshot
    case "checkpoints": kind = .checkpoint
    case "attempts": kind = .attempt
    case "events": kind = .event
    case "meta": kind = .meta
    default: return nil
    }
    self.key = Array(key)
    self.value = Array(value)
    isStray = false
    if kind == .meta {
      guard let name = String(validating: self.key, as: UTF8.self) else { return nil }
      guard name != "format_version" else {
        let version = Int(String(decoding: value, as: UTF8.self)) ?? JobStore.formatVersion
        if version > JobStore.formatVersion { throw NewerVersion(version: version) }
        return nil
      }
      let isName = name.utf8.allSatisfy { byte in
        (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5f || byte == 0x2f
      }
      guard isName else { return nil }
    } else if !Self.isWhole(kind, key, value) {
      return nil
    }
  }

  /// A record on an unreachable page; its kind is determined by its contents.
  init?(stray key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    let kinds: [Kind] = [.snapshot, .checkpoint, .attempt, .event]
    if let kind = kinds.first(where: { Self.isWhole($0, key, value) }) {
      self.kind = kind
    } else {
      let name = String(decoding: key, as: UTF8.self)
      let isJob = name == "job" && (JSON.decode(value) as JobRecord?) != nil
      guard isJob || name == "full_snapshot/0" && value.count > 8 else { return nil }
      kind = .meta
    }
    self.key = Array(key)
    self.value = Array(value)
    isStray = true
  }

  private static func isWhole(
    _ kind: Kind, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) -> Bool {
    let number = Key.lastNumber(key)
    switch kind {
    case .snapshot: return key.count == Key.snapshotBytes && SnapshotRow.isIntact(value)
    case .checkpoint:
      guard key.count == 24, let record: CheckpointRecord = JSON.decode(value) else { return false }
      return Key.checkpoint(step: record.step, cut: record.cut).elementsEqual(key)
    case .attempt:
      guard key.count == 8, let record: AttemptRecord = JSON.decode(value) else { return false }
      return record.attempt == number
    case .event:
      guard key.count == 8, let record: EventRecord = JSON.decode(value) else { return false }
      return record.sequence == number
    case .meta: return true
    }
  }

  /// Whether it replaces an earlier record with the same key.
  func replaces(_ other: UnsafeRawBufferPointer) -> Bool {
    switch kind {
    case .snapshot:
      // The record of the later attempt is newer.
      let attempt = value.withUnsafeBytes { $0.word(8) }
      return isStray ? attempt > other.word(8) : attempt >= other.word(8)
    case .attempt:
      guard isStray else { return true }
      let mine: AttemptRecord? = JSON.decode(value)
      let its: AttemptRecord? = JSON.decode(other)
      return mine?.running == false && its?.running == true
    default: return !isStray
    }
  }
}
