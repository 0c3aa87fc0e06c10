import Reporting
public import TrainerProtocol

/// A durable checkpoint. Recorded only after its files are durable.
public struct CheckpointRecord: Hashable, Sendable, Codable {
  public var name: String
  public var step: UInt64
  public var cut: CutID
  public var attempt: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var bytes: UInt64
  /// Of the image; hexadecimal digits. nil in records of older versions, which have `sha256`.
  public var digest: String?
  /// `xxh128` or `sha256`.
  public var digestAlgorithm: String?
  /// nil in records of newer versions, unless that is the algorithm.
  public var sha256: String?
  public var createdAtNs: UInt64
  public var tookNs: UInt64
  public var metrics: [String: Double]
  /// Why it was saved, `CheckpointReason.word`; nil: by a version that did not record this.
  public var savedFor: [String]?
  /// It contains only components that are tensors alone; nil: it contains the whole state.
  public var weightsOnly: Bool?
  /// When the remote storage had all of it; nil: it is not known to.
  public var replicatedAtNs: UInt64?
  /// Its damage; nil if none is known.
  public var damage: String?
  /// The file of which it is a copy; nil: it has a state image.
  public var adopted: AdoptedFile?
  /// When it was last read in full and its digest matched.
  public var verifiedAtNs: UInt64?

  /// Whether an attempt can start from it.
  public var isWhole: Bool { weightsOnly != true }

  public init(
    name: String, step: UInt64, cut: CutID, attempt: UInt64, epoch: UInt64, batch: UInt64, bytes: UInt64,
    digest: String, digestAlgorithm: String, createdAtNs: UInt64, tookNs: UInt64, metrics: [String: Double]
  ) {
    self.name = name
    self.step = step
    self.cut = cut
    self.attempt = attempt
    self.epoch = epoch
    self.batch = batch
    self.bytes = bytes
    self.digest = digest
    self.digestAlgorithm = digestAlgorithm
    if digestAlgorithm == "sha256" { sha256 = digest }
    self.createdAtNs = createdAtNs
    self.tookNs = tookNs
    self.metrics = metrics
  }

  // MARK: Reading

  /// Reads a record as it is written. Foundation's decoder needs ten times as long, which a listing of thousands shows.
  /// - Returns: nil for any other form; it may be one that Foundation's decoder accepts.
  static func read(_ bytes: UnsafeRawBufferPointer) -> CheckpointRecord? {
    var cursor = JSONCursor(bytes)
    var record = CheckpointRecord(
      name: "", step: 0, cut: CutID(high: 0, low: 0), attempt: 0, epoch: 0, batch: 0, bytes: 0, digest: "",
      digestAlgorithm: "", createdAtNs: 0, tookNs: 0, metrics: [:])
    (record.digest, record.digestAlgorithm) = (nil, nil)
    var requiredFields = 0
    do throws(JSONCursor.Malformed) {
      var isKnown = true
      try cursor.members { key, cursor throws(JSONCursor.Malformed) in
        let value = try cursor.value()
        guard value != .null else { return }
        if let count = record.set(key, value) { requiredFields += count } else { isKnown = false }
      }
      try cursor.end()
      return isKnown && requiredFields == 10 ? record : nil
    } catch {
      return nil
    }
  }

  /// - Returns: how many required fields it is, 0 or 1; nil if the value has another form.
  private mutating func set(_ key: String, _ value: JSONValue) -> Int? {
    switch key {
    case "attempt": return value.counter.map { attempt = $0 }.map { 1 }
    case "batch": return value.counter.map { batch = $0 }.map { 1 }
    case "bytes": return value.counter.map { bytes = $0 }.map { 1 }
    case "created_at_ns": return value.counter.map { createdAtNs = $0 }.map { 1 }
    case "cut": return value.string.flatMap { CutID($0) }.map { cut = $0 }.map { 1 }
    case "epoch": return value.counter.map { epoch = $0 }.map { 1 }
    case "name": return value.string.map { name = $0 }.map { 1 }
    case "step": return value.counter.map { step = $0 }.map { 1 }
    case "took_ns": return value.counter.map { tookNs = $0 }.map { 1 }
    case "metrics":
      for (key, value) in value.object ?? [:] {
        guard let number = Self.metric(value) else { return nil }
        metrics[key] = number
      }
      return value.object.map { _ in 1 }
    case "replicated_at_ns": return value.counter.map { replicatedAtNs = $0 }.map { 0 }
    case "verified_at_ns": return value.counter.map { verifiedAtNs = $0 }.map { 0 }
    case "digest": return value.string.map { digest = $0 }.map { 0 }
    case "digest_algorithm": return value.string.map { digestAlgorithm = $0 }.map { 0 }
    case "sha256": return value.string.map { sha256 = $0 }.map { 0 }
    case "damage": return value.string.map { damage = $0 }.map { 0 }
    case "adopted":
      adopted = AdoptedFile(value)
      return adopted.map { _ in 0 }
    case "weights_only":
      guard case .bool(let value) = value else { return nil }
      weightsOnly = value
      return 0
    case "saved_for":
      savedFor = value.array?.compactMap(\.string)
      return savedFor?.count == value.array?.count && savedFor != nil ? 0 : nil
    // It may matter to a reader.
    default: return nil
    }
  }

  private static func metric(_ value: JSONValue) -> Double? {
    switch value {
    case .real(let number): number
    case .integer(let number): Double(number)
    case .unsigned(let number): Double(number)
    case .string("NaN"): .nan
    case .string("Infinity"): .infinity
    case .string("-Infinity"): -.infinity
    default: nil
    }
  }
}
