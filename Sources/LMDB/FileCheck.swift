import CLMDB
import Glibc

/// Sees to it that LMDB can be trusted with a data file.
enum FileCheck {
  /// Checks all that LMDB would follow, and repairs a meta page that it would stumble over while the other one is
  /// good. A file that is missing or was cut short while it was made is LMDB's to make.
  /// - Throws: `isDamage`; or the errno of reading, or of writing the repair.
  static func prepare(_ path: String) throws(LMDBError) {
    let file: DataFile
    do throws(LMDBError) {
      file = try DataFile(file: path)
    } catch {
      if error.code == ENOENT { return }
      throw error
    }
    if try file.isUnborn() {
      // LMDB takes an empty file for a new one, and refuses half of one. Meta pages without a tree are whole.
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

  /// LMDB takes the meta page of the greater transaction, and refuses a file where either is none at all. The good
  /// one is copied over the other, as of the transaction before: whatever a power cut leaves of that, the good one
  /// stays as it is.
  private static func repair(_ file: DataFile, _ newest: MetaPage) throws(LMDBError) {
    let metas = try file.metaBytes()
    let isFirst = metas.first.withUnsafeBytes { MetaPage($0, index: 0) == newest }
    let (good, other) = isFirst ? (metas.first, metas.second) : (metas.second, metas.first)
    let isHarmless = other.withUnsafeBytes { other in
      MetaPage.isKnown(other)
        && (MetaPage.transaction(other) < newest.transaction
          || MetaPage(other, index: isFirst ? 1 : 0) != nil)
    }
    if isHarmless { return }
    let index = isFirst ? 1 : 0
    let copy = good.withUnsafeBytes { MetaPage.copy($0, toIndex: index) }
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
