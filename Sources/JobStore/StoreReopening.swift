import LMDB
import POSIX
import Reporting
import SystemPackage
import Vocabulary

/// Reopens a store that was changed or damaged while open.
struct StoreReopening {
  let store: JobStore
  let environment: Environment

  enum Outcome {
    /// It contains the last commit.
    case same
    /// It may lack durable changes; `repair` is nil if another program overwrote it.
    case replaced(repair: StoreRepair?)
  }

  /// A damaged store is recovered into a new one. If the file was removed or replaced, the new store is
  /// recovered from the file that is still open, which is complete.
  func run() throws -> Outcome {
    let mine = try? environment.openFile()
    guard environment.isDirectoryInPlace else {
      throw StoreError(
        .missing, path: store.directory, why: "the directory was moved or removed",
        hint: "move it back: ls -ld \(store.directory)")
    }
    // Without an open file, an earlier reopening failed: use the file at the path.
    let isMine = mine == nil || environment.isInPlace
    if isMine, let isSame = try reopen() { return isSame ? .same : .replaced(repair: nil) }
    environment.close()
    let source = isMine ? try? DataFile(store.directory.string) : mine
    let repair = try Salvage.run(store.directory, source: source, isOurs: true)
    try environment.reopen()
    return .replaced(repair: repair)
  }

  /// - Returns: whether it contains the last commit; nil if it is damaged.
  private func reopen() throws(LMDBError) -> Bool? {
    do throws(LMDBError) {
      return try environment.reopen()
    } catch {
      if error.isDamage { return nil }
      throw error
    }
  }
}
