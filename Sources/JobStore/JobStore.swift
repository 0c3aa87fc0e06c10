import Glibc
import LMDB
import POSIX
import Synchronization
public import SystemPackage
import TrainerProtocol

/// A job's LMDB environment: databases `snapshots`, `checkpoints`, `attempts`, `events` and `meta`.
/// Readers need no supervisor, and see it as it was at one commit.
public final class JobStore: Sendable {
  public static let formatVersion = 1

  public let directory: FilePath
  let environment: Environment
  let databases: Databases
  /// Rows of attempts and events that were read, for whoever wants to know what a look costs.
  let rowsRead = Atomic<UInt64>(0)

  struct Databases: Sendable {
    let snapshots: Database
    let checkpoints: Database
    let attempts: Database
    let events: Database
    let meta: Database
  }

  public enum Access: Sendable {
    case readOnly
    /// Make it where it is not there.
    case create
  }

  /// Opens the store of a state directory. Once per process.
  public init(stateDirectory: FilePath, _ access: Access) throws(StoreError) {
    let directory = stateDirectory.appending("store")
    self.directory = directory
    do {
      environment = try Self.openEnvironment(directory, access)
    } catch let error as LMDBError {
      throw StoreError(error, path: directory)
    } catch let error as StoreError {
      throw error
    } catch {
      let noRoom = (error as? POSIXError)?.errno == .noSpace
      throw StoreError(
        noRoom ? .noRoom : .io, operation: "create store", path: directory, reason: "\(error)",
        hint: "look at the disk: df \(stateDirectory)")
    }
    let opened: (Databases?, version: Int?)
    do {
      opened = try Self.openDatabases(environment, create: access == .create)
    } catch let error as LMDBError {
      throw StoreError(error, path: directory)
    } catch {
      throw StoreError(.io, operation: "open", path: directory, reason: "\(error)", hint: "")
    }
    if let version = opened.version, version > Self.formatVersion {
      throw StoreError(
        .newerVersion, operation: "open", path: directory,
        reason: "it has format \(version), this holdfast reads up to \(Self.formatVersion)",
        hint: "use the newer holdfast that wrote it: holdfast --version")
    }
    guard let databases = opened.0, opened.version != nil else {
      throw StoreError(
        .damaged, operation: "open", path: directory, reason: "it is not a store of holdfast",
        hint: "move it aside (checkpoints are kept apart and stay): mv \(directory) \(directory).damaged")
    }
    self.databases = databases
  }

  private static func openEnvironment(_ directory: FilePath, _ access: Access) throws -> Environment {
    try checkFiles(directory)
    switch access {
    case .create:
      try FileSystem.makeDirectories(directory, mode: 0o750)
      let environment = try Environment(directory.string)
      try environment.clearDeadReaders()
      try environment.checkStructure()
      // LMDB does not make its new files' names durable.
      try FileSystem.synchronizeDirectory(directory)
      try FileSystem.synchronizeDirectory(directory.removingLastComponent())
      return environment
    case .readOnly:
      let environment = try openForReading(directory.string)
      try environment.checkStructure()
      return environment
    }
  }

  /// LMDB opens its files by their names: it would wait for a pipe, and write where a link leads.
  static func checkFiles(_ directory: FilePath) throws(StoreError) {
    for name in ["data.mdb", "lock.mdb"] {
      let path = directory.appending(name)
      guard let kind = FileKind.of(path), kind != .ordinary else { continue }
      throw StoreError(
        .damaged, operation: "open", path: path, reason: "it is \(kind.rawValue)",
        hint: "move it aside: mv \(path) \(path).aside")
    }
  }

  private static func openForReading(_ path: String) throws(LMDBError) -> Environment {
    var options = Environment.Options()
    options.readOnly = true
    do {
      return try Environment(path, options)
    } catch {
      // Readers register in lock.mdb; who may not write it reads unregistered.
      options.withoutLock = error.code == EACCES || error.code == EROFS
      if !options.withoutLock { throw error }
    }
    return try Environment(path, options)
  }

  private static func openDatabases(
    _ environment: Environment, create: Bool
  ) throws -> (Databases?, version: Int?) {
    func open(_ transaction: borrowing Transaction) throws -> (Databases?, version: Int?) {
      guard let meta = try transaction.database("meta", create: create) else { return (nil, nil) }
      var version: Int? = try Array("format_version".utf8).withUnsafeBytes { key in
        try transaction.get(meta, key).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
      }
      if version == nil, create, try transaction.count(meta) == 0 {
        version = formatVersion
        try put(transaction, meta, Array("format_version".utf8), Array("\(formatVersion)".utf8))
      }
      guard let snapshots = try transaction.database("snapshots", create: create),
        let checkpoints = try transaction.database("checkpoints", create: create),
        let attempts = try transaction.database("attempts", create: create),
        let events = try transaction.database("events", create: create)
      else { return (nil, version) }
      let databases = Databases(
        snapshots: snapshots, checkpoints: checkpoints, attempts: attempts, events: events, meta: meta)
      return (databases, version)
    }
    if create { return try environment.write { try open($0) } }
    // Committed, so that the handles stay.
    let transaction = try Transaction(environment, readOnly: true)
    let result = try open(transaction)
    try transaction.commit()
    return result
  }

  static func put(
    _ transaction: borrowing Transaction, _ database: Database, _ key: [UInt8], _ value: [UInt8]
  ) throws {
    try key.withUnsafeBytes { key in
      try value.withUnsafeBytes { value in try transaction.put(database, key, value) }
    }
  }

  // MARK: Reading

  func read<Result>(_ body: (borrowing Transaction) throws -> Result) throws(StoreError) -> Result {
    do {
      return try environment.read(body)
    } catch let error as LMDBError {
      throw StoreError(error, path: directory)
    } catch {
      throw StoreError(.io, operation: "read", path: directory, reason: "\(error)", hint: "try again")
    }
  }

  public func meta(_ key: String) throws(StoreError) -> [UInt8]? {
    try read { transaction in
      try Array(key.utf8).withUnsafeBytes { key in try transaction.get(databases.meta, key).map { Array($0) }
      }
    }
  }

  /// A JSON document in `meta`; nil when it is absent or damaged.
  public func document<Value: Decodable>(_ key: String) throws(StoreError) -> Value? {
    try meta(key).flatMap { JSON.decode($0) }
  }

  public func job() throws(StoreError) -> JobRecord? { try document("job") }
  public func live() throws(StoreError) -> LiveRecord? { try document("live") }

  static let deviationKey = "deviation"
  /// Where the run ceased to be the undisturbed one; nil: nothing is known against it.
  public func deviation() throws(StoreError) -> Deviation? { try document(Self.deviationKey) }

  public func metricNames() throws(StoreError) -> [String] { try document("metric_names") ?? [] }

  public var attempts: NumberedRecords<AttemptRecord> { NumberedRecords(self, databases.attempts) }
  public var events: NumberedRecords<EventRecord> { NumberedRecords(self, databases.events) }

  /// By step, oldest first; damaged ones are left out.
  public func checkpoints() throws(StoreError) -> [CheckpointRecord] {
    try read { transaction in
      var values: [CheckpointRecord] = []
      let cursor = try transaction.cursor(databases.checkpoints)
      var entry = try cursor.first()
      while let (_, value) = entry {
        if let decoded: CheckpointRecord = JSON.decode(value) { values.append(decoded) }
        entry = try cursor.next()
      }
      return values
    }
  }

  /// All attempts in little: what the store keeps of their sums, and those since.
  public func attemptSummary() throws(StoreError) -> AttemptSummary {
    let newest = try attempts.lastNumber
    var totals: AttemptTotals = try document(AttemptTotals.document) ?? AttemptTotals()
    // Of attempts that are not there: it is another store's, or damaged, and is made anew.
    if totals.through >= newest { totals = AttemptTotals() }
    var summary = AttemptSummary(after: totals)
    do {
      try attempts.forEach(after: totals.through) { summary.add($0) }
    } catch {
      throw error as? StoreError
        ?? StoreError(.io, operation: "read", path: directory, reason: "\(error)", hint: "try again")
    }
    return summary
  }

  // MARK: Snapshots

  public func snapshotCount() throws(StoreError) -> Int {
    try read { try $0.count(databases.snapshots) }
  }

  /// The newest `limit` steps, oldest first; damaged rows are left out.
  public func newestSnapshots(_ limit: Int) throws(StoreError) -> [SnapshotRow] {
    try read { transaction in
      var rows: [SnapshotRow] = []
      let cursor = try transaction.cursor(databases.snapshots)
      var entry = try cursor.last()
      while let (key, value) = entry, rows.count < limit {
        if let step = Key.lastNumber(key), let row = SnapshotRow(step: step, value) { rows.append(row) }
        entry = try cursor.previous()
      }
      return rows.reversed()
    }
  }

  public func snapshot(at step: UInt64, rank: UInt32 = 0) throws(StoreError) -> SnapshotRow? {
    try read { transaction in
      try Key.snapshot(rank: rank, step: step).withUnsafeBytes { key in
        try transaction.get(databases.snapshots, key).flatMap { SnapshotRow(step: step, $0) }
      }
    }
  }

  /// Step and image of the newest full snapshot; nil when there is none, or its bytes are not those that were
  /// written.
  public func fullSnapshot(rank: UInt32 = 0) throws(StoreError) -> (step: UInt64, image: [UInt8])? {
    let (value, digest) = try read { transaction -> ([UInt8]?, UInt64?) in
      let meta = databases.meta
      let value = try Array("full_snapshot/\(rank)".utf8).withUnsafeBytes { key in
        try transaction.get(meta, key).map { Array($0) }
      }
      // Stores of before have none.
      let digest = try Array("full_snapshot_digest/\(rank)".utf8).withUnsafeBytes { key in
        try transaction.get(meta, key).flatMap { $0.count == 8 ? $0.word(0) : nil }
      }
      return (value, digest)
    }
    guard let value, value.count > 8 else { return nil }
    if let digest, value.withUnsafeBytes({ XXH64.hash($0) }) != digest { return nil }
    let step = value.withUnsafeBytes { $0.word(0) }
    return (step, Array(value[8...]))
  }

  /// Step of the newest full snapshot, without its image.
  public func fullSnapshotStep(rank: UInt32 = 0) throws(StoreError) -> UInt64? {
    try read { transaction in
      try Array("full_snapshot/\(rank)".utf8).withUnsafeBytes { key in
        try transaction.get(databases.meta, key).flatMap { $0.count > 8 ? $0.word(0) : nil }
      }
    }
  }

  /// The whole run in at most `count` steps, as evenly apart as what is kept allows; oldest first. Each is
  /// found by a search, so that the length of the history does not matter.
  public func sampledSnapshots(_ count: Int, rank: UInt32 = 0) throws(StoreError) -> [SnapshotRow] {
    try read { transaction in
      let cursor = try transaction.cursor(databases.snapshots)
      guard count > 1, let newest = try cursor.last().flatMap({ Key.lastNumber($0.key) }),
        let oldest = try cursor.first().flatMap({ Key.lastNumber($0.key) }), newest > oldest
      else { return [] }
      var rows: [SnapshotRow] = []
      for index in 0..<count {
        let product = (newest - oldest).multipliedFullWidth(by: UInt64(index))
        let wanted = oldest + UInt64(count - 1).dividingFullWidth(product).quotient
        let entry = try Key.snapshot(rank: rank, step: wanted).withUnsafeBytes { try cursor.seek($0) }
        guard let (key, value) = entry, let step = Key.lastNumber(key) else { continue }
        if step > rows.last?.step ?? 0, let row = SnapshotRow(step: step, value) { rows.append(row) }
      }
      return rows
    }
  }

  public var usedBytes: Int { environment.usedBytes }
}
