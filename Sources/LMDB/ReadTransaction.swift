import CLMDB
import Glibc

/// The state of an environment after one commit, read page by page. Each page is validated before its use, so that
/// a damaged file only causes errors.
///
/// The writer may reuse the pages of this state, at the earliest in the third transaction after it: without
/// registered readers, transaction W reuses pages freed by W − 2 or before (`mdb_find_oldest`,
/// `mdb_page_alloc`), which were still in use in state W − 3. So the data is consistent if `isCurrent` is true after
/// reading.
public final class ReadTransaction {
  public let file: DataFile
  let meta: MetaPage
  private let pages: PageBuffers
  private var trees: [String: MetaPage.Tree] = [:]

  public init(_ file: DataFile) throws(LMDBError) {
    self.file = file
    meta = try file.newest()
    pages = PageBuffers(file, meta)
  }

  /// Whether all data read so far belongs to one state of the environment. If not, it must be discarded.
  public func isCurrent() -> Bool {
    guard let newest = try? file.newest() else { return false }
    return newest.transaction >= meta.transaction && newest.transaction < meta.transaction + 2
  }

  /// Maximum number of attempts of a reader that the writer overtakes.
  private static let tries = 100

  /// Runs `body` on the newest state, and repeats it until all data that it read belongs to one state.
  /// - Parameter directory: of the environment. Its file is opened for each attempt, as it may be replaced.
  public static func run<Result>(
    _ directory: String, _ body: (ReadTransaction) throws -> Result
  ) throws -> Result {
    for turn in 1... {
      let transaction = try ReadTransaction(try DataFile(directory))
      do {
        let result = try body(transaction)
        if transaction.isCurrent() { return result }
      } catch {
        // Apparent damage may be due to a concurrent write.
        if transaction.isCurrent() { throw error }
      }
      if turn == tries {
        throw LMDBError(
          code: EBUSY, operation: "read (the file changes too fast)", path: transaction.file.path)
      }
    }
    preconditionFailure("the loop ends by itself")
  }

  /// - Returns: nil when it does not exist.
  public func database(_ name: String) throws(LMDBError) -> Database? {
    try tree(name) == nil ? nil : Database(name: name)
  }

  private func tree(_ name: String) throws(LMDBError) -> MetaPage.Tree? {
    if let known = trees[name] { return known }
    let cursor = ReadCursor(pages, meta.main)
    let copy = UnsafeRawBufferPointer.copying(Array(name.utf8))
    defer { copy.deallocate() }
    guard let record = try cursor.databaseRecord(UnsafeRawBufferPointer(copy)) else { return nil }
    trees[name] = record
    return record
  }

  /// The value; valid until the next call.
  public func get(_ database: Database, _ key: UnsafeRawBufferPointer) throws(LMDBError)
    -> UnsafeRawBufferPointer?
  {
    let cursor = try cursor(database)
    guard let entry = try cursor.seek(key), !entry.key.isLess(than: key), !key.isLess(than: entry.key) else {
      return nil
    }
    lastCursor = cursor
    return entry.value
  }

  private var lastCursor: ReadCursor?

  /// Number of entries, from the record of the database.
  public func count(_ database: Database) throws(LMDBError) -> Int {
    Int(clamping: try tree(database.name)?.entries ?? 0)
  }

  public func cursor(_ database: Database) throws(LMDBError) -> ReadCursor {
    guard let tree = try tree(database.name) else {
      throw LMDBError(code: MDB_BAD_DBI, operation: "read database \(database.name)", path: file.path)
    }
    return ReadCursor(pages, tree)
  }
}
