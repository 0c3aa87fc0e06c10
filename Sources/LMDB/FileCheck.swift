import Glibc

/// Ensures that LMDB can open a data file safely.
enum FileCheck {
  /// Checks all pages that LMDB could follow, and repairs an invalid meta page if the other one is valid. If the
  /// file is missing, or its creation was interrupted, LMDB creates it.
  /// - Throws: `isDamage`; or the errno of reading, or of writing the repair.
  static func prepare(_ path: String) throws(LMDBError) {
    let file: DataFile
    do throws(LMDBError) {
      file = try DataFile(file: path)
    } catch {
      if error.code == ENOENT { return }
      throw error
    }
    if try file.isUninitialized() {
      // LMDB initializes an empty file but rejects a partial one. Meta pages without a tree are complete.
      if try file.metaPages().count < 2, try file.bytes() > 0 { try empty(path) }
      return
    }
    try file.checkStructure()
    try repair(file, try file.newest())
  }

  private static func empty(_ path: String) throws(LMDBError) {
    let file = try DataFile(file: path, writable: true)
    guard ftruncate(file.descriptor, 0) == 0, fsync(file.descriptor) == 0 else {
      throw LMDBError(code: errno, operation: "ftruncate", path: path)
    }
  }

  /// LMDB uses the meta page with the greater transaction number, and rejects a file in which either is invalid. The
  /// valid one is copied over the other, with the number of the transaction before. A power loss during that does not
  /// affect the valid one.
  private static func repair(_ file: DataFile, _ newest: MetaPage) throws(LMDBError) {
    let metas = try file.metaBytes()
    let isFirst = metas.first.withUnsafeBytes { MetaPage($0, index: 0) == newest }
    let (valid, other) = isFirst ? (metas.first, metas.second) : (metas.second, metas.first)
    let isHarmless = other.withUnsafeBytes { other in
      MetaPage.isKnown(other)
        && (MetaPage.transaction(other) < newest.transaction
          || MetaPage(other, index: isFirst ? 1 : 0) != nil)
    }
    if isHarmless { return }
    let index = isFirst ? 1 : 0
    let copy = valid.withUnsafeBytes { MetaPage.copy($0, toIndex: index) }
    let writable = try DataFile(file: file.path, writable: true)
    let count = pwrite(writable.descriptor, copy, copy.count, off_t(index * newest.pageBytes))
    guard count == copy.count else {
      throw LMDBError(code: count < 0 ? errno : EIO, operation: "pwrite", path: file.path)
    }
    guard fsync(writable.descriptor) == 0 else {
      throw LMDBError(code: errno, operation: "fsync", path: file.path)
    }
  }
}
