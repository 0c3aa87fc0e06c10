import Glibc
import LMDB
import POSIX
import Reporting
import Synchronization
public import SystemPackage
import TrainerProtocol

/// A job's LMDB environment: databases `snapshots`, `checkpoints`, `attempts`, `events` and `meta`.
/// Readers need no supervisor and see the state of one commit.
public final class JobStore: Sendable {
  public static let formatVersion = 1

  public let directory: FilePath
  /// nil if opened read-only.
  let environment: Environment?
  let databases: Databases
  /// Number of rows of attempts and events that were read, to measure the cost of reading.
  let rowsRead = Atomic<UInt64>(0)
  /// The repair that was made when this store was opened.
  public let repair: StoreRepair?

  struct Databases: Sendable {
    let snapshots: Database
    let checkpoints: Database
    let attempts: Database
    let events: Database
    let meta: Database
  }

  public enum Access: Sendable {
    case readOnly
    /// Create it if it is missing; if it is damaged, recover it into a new one. Requires the job's lock.
    case create
  }

  /// Opens the store of a state directory. For writing, once per process.
  public init(stateDirectory: FilePath, _ access: Access) throws(StoreError) {
    let directory = stateDirectory.appending("store")
    self.directory = directory
    do {
      switch access {
      case .readOnly:
        environment = nil
        repair = nil
        databases = try Self.findDatabases(directory)
      case .create:
        let opened = try Self.openForWriting(directory)
        (environment, databases, repair) = opened
      }
    } catch let error as StoreError {
      throw error
    } catch let error as LMDBError {
      throw StoreError(error, path: directory)
    } catch is SalvagedRecord.Foreign {
      throw Self.foreign(directory)
    } catch let error as SalvagedRecord.NewerVersion {
      throw Self.newer(directory, error.version)
    } catch {
      let noRoom = (error as? POSIXError)?.errno.isNoRoom ?? false
      throw StoreError(
        noRoom ? .noRoom : .io, path: directory, why: "\(error)",
        hint: "check the disk: df \(stateDirectory)")
    }
  }

  private static func foreign(_ directory: FilePath) -> StoreError {
    StoreError(
      .damaged, path: directory, why: "not a store of holdfast",
      hint:
        "move it aside (checkpoints are stored elsewhere and are kept): mv \(directory) \(directory).other")
  }

  private static func newer(_ directory: FilePath, _ version: Int) -> StoreError {
    StoreError(
      .newerVersion, path: directory,
      why: "its format is \(version), this holdfast supports up to \(formatVersion)",
      hint: "use the newer holdfast that wrote it: holdfast --version")
  }

  /// If it is not a regular file, the user has to remove it.
  private static func checkFile(_ directory: FilePath) throws(StoreError) {
    let path = directory.appending(DataFile.name)
    guard let kind = FileKind.of(path), kind != .ordinary else { return }
    throw StoreError(
      .damaged, path: path, why: "it is \(kind.rawValue)",
      hint: "move it aside: mv \(path) \(path).aside")
  }

  // MARK: Opening for writing

  private static func openForWriting(
    _ directory: FilePath
  ) throws -> (Environment, Databases, StoreRepair?) {
    try checkFile(directory)
    try FileSystem.makeDirectories(directory, mode: 0o750)
    try Salvage.removeUnfinished(directory)
    let environment: Environment
    var repair: StoreRepair?
    do {
      try checkFormat(directory)
      // Checks all pages that LMDB would access.
      environment = try Environment(directory.string)
    } catch let error as LMDBError where error.isDamage && !error.isOtherVersion {
      repair = try Salvage.run(directory, source: try? DataFile(directory.string), isOurs: false)
      environment = try Environment(directory.string)
    }
    let databases = try createDatabases(environment)
    // LMDB does not fsync the directory of its new files.
    try FileSystem.synchronizeDirectory(directory)
    try FileSystem.synchronizeDirectory(directory.removingLastComponent())
    return (environment, databases, repair)
  }

  /// Checks before writing that the file is a store of holdfast or uninitialized.
  private static func checkFormat(_ directory: FilePath) throws {
    guard let file = try openFile(directory), try !file.isUninitialized() else { return }
    let (version, known, count) = try ReadTransaction.run(directory.string) { transaction in
      try contents(transaction)
    }
    if let version {
      if version > formatVersion { throw newer(directory, version) }
    } else if known >= 3 || count > 0 {
      // Salvage decides by its records.
      throw LMDBError(code: LMDBError.corrupted, operation: "read the format version", path: directory.string)
    }
  }

  /// - Returns: nil if it does not exist.
  private static func openFile(_ directory: FilePath) throws(LMDBError) -> DataFile? {
    do throws(LMDBError) {
      return try DataFile(directory.string)
    } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
  }

  /// - Returns: the format version, the number of known databases, and the number of entries in `meta`.
  private static func contents(
    _ transaction: ReadTransaction
  ) throws -> (version: Int?, known: Int, metaEntries: Int) {
    let names = ["snapshots", "checkpoints", "attempts", "events"]
    let known = try names.filter { name in try transaction.database(name) != nil }.count
    guard let meta = try transaction.database("meta") else { return (nil, known, 0) }
    let version = try Array("format_version".utf8).withUnsafeBytes { key in
      try transaction.get(meta, key).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }
    return (version, known + 1, try transaction.count(meta))
  }

  /// Opens the databases, creating missing ones.
  static func createDatabases(_ environment: Environment) throws -> Databases {
    try environment.write { transaction in
      let databases = Databases(
        snapshots: try create("snapshots", transaction), checkpoints: try create("checkpoints", transaction),
        attempts: try create("attempts", transaction), events: try create("events", transaction),
        meta: try create("meta", transaction))
      let key = Array("format_version".utf8)
      if try !has(key, transaction, databases.meta) {
        try put(transaction, databases.meta, key, Array("\(formatVersion)".utf8))
      }
      return databases
    }
  }

  private static func create(_ name: String, _ transaction: borrowing Transaction) throws -> Database {
    guard let database = try transaction.database(name, create: true) else {
      throw LMDBError(code: LMDBError.corrupted, operation: "mdb_dbi_open \(name)")
    }
    return database
  }

  private static func has(
    _ key: [UInt8], _ transaction: borrowing Transaction, _ database: Database
  ) throws -> Bool {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: key.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: key)
    return try transaction.get(database, UnsafeRawBufferPointer(copy)) != nil
  }

  // MARK: Opening for reading

  private static func findDatabases(_ directory: FilePath) throws -> Databases {
    try checkFile(directory)
    if try DataFile(directory.string).isUninitialized() {
      throw LMDBError(code: ENOENT, operation: "read (still being created)", path: directory.string)
    }
    return try ReadTransaction.run(directory.string) {
      transaction in
      let (version, _, _) = try contents(transaction)
      if let version, version > formatVersion { throw newer(directory, version) }
      guard version != nil, let snapshots = try transaction.database("snapshots"),
        let checkpoints = try transaction.database("checkpoints"),
        let attempts = try transaction.database("attempts"), let events = try transaction.database("events"),
        let meta = try transaction.database("meta")
      else { throw foreign(directory) }
      return Databases(
        snapshots: snapshots, checkpoints: checkpoints, attempts: attempts, events: events, meta: meta)
    }
  }

  static func put(
    _ transaction: borrowing Transaction, _ database: Database, _ key: [UInt8], _ value: [UInt8]
  ) throws {
    try key.withUnsafeBytes { key in
      try value.withUnsafeBytes { value in try transaction.put(database, key, value) }
    }
  }

  // MARK: Reading

  /// Runs `body` on the newest commit, and again if the writer reused its pages meanwhile, so that the result
  /// is consistent. Read long lists in pieces, as a reader that is slower than two commits starts again.
  func read<Result>(
    _ body: (ReadTransaction) throws -> Result
  ) throws(StoreError) -> Result {
    do {
      return try ReadTransaction.run(directory.string, body)
    } catch let error as LMDBError {
      throw StoreError(error, path: directory)
    } catch {
      throw StoreError(.io, path: directory, why: "\(error)", hint: "try again")
    }
  }

  public func meta(_ key: String) throws(StoreError) -> [UInt8]? {
    try read { transaction in
      try Array(key.utf8).withUnsafeBytes { key in try transaction.get(databases.meta, key).map { Array($0) }
      }
    }
  }

  /// A JSON document in `meta`; nil if it is missing or damaged.
  public func document<Value: Decodable>(_ key: String) throws(StoreError) -> Value? {
    try meta(key).flatMap { JSON.decode($0) }
  }

  public func job() throws(StoreError) -> JobRecord? { try document("job") }
  public func live() throws(StoreError) -> LiveRecord? { try document("live") }

  static let deviationKey = "deviation"
  /// The first difference of a replay; nil if none is known.
  public func deviation() throws(StoreError) -> Deviation? { try document(Self.deviationKey) }

  public func metricNames() throws(StoreError) -> [String] { try document("metric_names") ?? [] }

  /// Attempts without a recorded end. An attempt's end is written before the next one's beginning, so only
  /// the newest can lack it; a few more are read in case the store was damaged.
  public func unendedAttempts() throws(StoreError) -> [AttemptRecord] {
    try attempts.newest(16).filter(\.running)
  }

  public var attempts: NumberedRecords<AttemptRecord> { NumberedRecords(self, databases.attempts) }
  public var events: NumberedRecords<EventRecord> { NumberedRecords(self, databases.events) }

  /// By step, oldest first, without damaged records.
  public func checkpoints() throws(StoreError) -> [CheckpointRecord] {
    try read { transaction in
      var values: [CheckpointRecord] = []
      let cursor = try transaction.cursor(databases.checkpoints)
      var entry = try cursor.first()
      while let (_, value) = entry {
        if let decoded = CheckpointRecord.read(value) ?? JSON.decode(value) { values.append(decoded) }
        entry = try cursor.next()
      }
      return values
    }
  }

  /// Summary of all attempts: the stored sums and the attempts since.
  public func attemptSummary() throws(StoreError) -> AttemptSummary {
    let newest = try attempts.lastNumber
    var totals: AttemptTotals = try document(AttemptTotals.document) ?? AttemptTotals()
    // If they include missing attempts, they are damaged or from another store, and are computed again.
    if totals.through >= newest { totals = AttemptTotals() }
    var summary = AttemptSummary(after: totals)
    do {
      try attempts.forEach(after: totals.through) { summary.add($0) }
    } catch {
      throw error as? StoreError
        ?? StoreError(.io, path: directory, why: "\(error)", hint: "try again")
    }
    return summary
  }

  // MARK: Snapshots

  public func snapshotCount() throws(StoreError) -> Int {
    try read { try $0.count(databases.snapshots) }
  }

  /// The newest `limit` steps, oldest first, without damaged rows.
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

  /// Step and image of the newest full snapshot; nil if there is none or it is damaged.
  public func fullSnapshot(rank: UInt32 = 0) throws(StoreError) -> (step: UInt64, image: [UInt8])? {
    let (value, digest) = try read { transaction -> ([UInt8]?, UInt64?) in
      let meta = databases.meta
      let value = try Array("full_snapshot/\(rank)".utf8).withUnsafeBytes { key in
        try transaction.get(meta, key).map { Array($0) }
      }
      // Stores of earlier versions have none.
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

  /// At most `count` steps of the whole run, as evenly spaced as retained rows allow, oldest first. Each is
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

  public var usedBytes: Int { (try? DataFile(directory.string).usedBytes()) ?? 0 }
}
