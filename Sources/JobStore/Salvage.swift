import Glibc
import LMDB
import POSIX
import SystemPackage
import TrainerProtocol

/// Recovers the readable records of a damaged store into a new one. The new store is built beside it and
/// durable before it is renamed, and the damaged file is kept under another name. If interrupted, the next
/// start begins again.
struct Salvage {
  private static let unfinishedName = "new"
  private static let dataName = "data.mdb"
  private static let batchBytes = 4 << 20

  private let directory: FilePath
  private let environment: Environment
  private let databases: JobStore.Databases
  private var records = 0
  private var batch: [SalvagedRecord] = []
  private var bytes = 0

  /// - Parameters:
  ///   - source: the damaged file; nil if it cannot be read.
  ///   - isOurs: whether it is known to be this job's store, regardless of its contents.
  static func run(_ directory: FilePath, source: DataFile?, isOurs: Bool) throws -> StoreRepair {
    let unfinished = directory.appending(unfinishedName)
    try removeUnfinished(directory)
    do {
      let records = try copy(source, to: unfinished, directory, isOurs: isOurs)
      let aside = try moveAside(directory)
      try FileSystem.rename(unfinished.appending(dataName), to: directory.appending(dataName))
      try FileSystem.synchronizeDirectory(directory)
      try removeUnfinished(directory)
      return StoreRepair(aside: aside, records: records)
    } catch {
      try? removeUnfinished(directory)
      throw error
    }
  }

  static func removeUnfinished(_ directory: FilePath) throws(POSIXError) {
    let path = directory.appending(unfinishedName)
    if FileSystem.exists(path) { try FileSystem.removeTree(path) }
  }

  /// - Returns: number of records in the new store.
  private static func copy(
    _ source: DataFile?, to path: FilePath, _ directory: FilePath, isOurs: Bool
  ) throws -> Int {
    var options = Environment.Options()
    options.withoutSynchronizing = true
    let size = source.flatMap { try? $0.sizeBytes() } ?? 0
    options.mapBytes = max(options.mapBytes, 2 * min(size, 1 << 40))
    try FileSystem.makeDirectories(path, mode: 0o750)
    let environment = try Environment(path.string, options)
    let databases = try JobStore.createDatabases(environment)
    var salvage = Salvage(directory, environment, databases)
    if let source { try salvage.read(source, isOurs: isOurs) }
    try salvage.flush()
    try environment.synchronize()
    return salvage.records
  }

  private init(_ directory: FilePath, _ environment: Environment, _ databases: JobStore.Databases) {
    self.directory = directory
    self.environment = environment
    self.databases = databases
  }

  private mutating func read(_ source: DataFile, isOurs: Bool) throws {
    let scan = RecordScan(source)
    var others = 0
    let isWhole = try scan.databases { name, key, value in
      guard let record = try SalvagedRecord(database: name, key, value) else {
        others += 1
        return
      }
      try append(record)
    }
    if !isWhole {
      try scan.orphans { key, value in
        if let record = SalvagedRecord(stray: key, value) { try append(record) }
      }
    }
    if records + batch.count == 0, others > 0, isWhole, !isOurs { throw SalvagedRecord.Foreign() }
  }

  private mutating func append(_ record: SalvagedRecord) throws {
    batch.append(record)
    bytes += record.key.count + record.value.count
    if bytes > Self.batchBytes { try flush() }
  }

  private mutating func flush() throws {
    let batch = batch
    var added = 0
    try environment.write { transaction in
      for record in batch { if try put(record, transaction) { added += 1 } }
    }
    records += added
    self.batch = []
    bytes = 0
  }

  /// - Returns: whether the key is new.
  private func put(_ record: SalvagedRecord, _ transaction: borrowing Transaction) throws -> Bool {
    let database =
      switch record.kind {
      case .snapshot: databases.snapshots
      case .checkpoint: databases.checkpoints
      case .attempt: databases.attempts
      case .event: databases.events
      case .meta: databases.meta
      }
    let (isNew, isBetter) = try record.key.withUnsafeBytes { key in
      guard let there = try transaction.get(database, key) else { return (true, true) }
      return (false, record.replaces(there))
    }
    if isBetter { try JobStore.put(transaction, database, record.key, record.value) }
    return isNew
  }

  // MARK: The damaged file

  /// Adds a name for the damaged file. The old name remains until the new file replaces it, so that there is
  /// always a store.
  private static func moveAside(_ directory: FilePath) throws -> FilePath? {
    let path = directory.appending(dataName)
    var status = stat()
    guard path.withPlatformString({ lstat($0, &status) }) == 0 else { return nil }
    let names = try FileSystem.list(directory)
    for name in names where name.hasPrefix("damaged-") {
      // Left by an earlier supervisor that died afterwards.
      var other = stat()
      let known = directory.appending(name)
      if known.withPlatformString({ lstat($0, &other) }) == 0, other.st_ino == status.st_ino { return known }
    }
    let taken = names.compactMap { name -> Int? in
      guard name.hasPrefix("damaged-"), name.hasSuffix(".mdb") else { return nil }
      return Int(name.dropFirst("damaged-".count).dropLast(".mdb".count))
    }
    let next = (taken.max() ?? 0).addingReportingOverflow(1).partialValue
    let aside = directory.appending("damaged-\(next).mdb")
    let isLinked =
      path.withPlatformString { path in aside.withPlatformString { link(path, $0) } } == 0
    // The filesystem has no hard links, or it is not a regular file.
    if !isLinked { try FileSystem.rename(path, to: aside) }
    try FileSystem.synchronizeDirectory(directory)
    return aside
  }
}
