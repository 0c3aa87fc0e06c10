import LMDB
import POSIX
import Reporting
import SystemPackage
import Vocabulary

/// Opens a store again that was changed or damaged while it was open.
struct StoreReopening {
  let store: JobStore
  let environment: Environment

  enum Outcome {
    /// It holds the last commit.
    case same
    /// It may lack what was durable before; `repair` is nil where another program wrote over it.
    case replaced(repair: StoreRepair?)
  }

  /// Where the store is damaged, a new one is made of what can be read; where the file lost its name, of the file
  /// that is still open, which has all of it.
  func run() throws -> Outcome {
    let mine = try? environment.openFile()
    guard environment.isDirectoryInPlace else {
      throw StoreError(
        .missing, path: store.directory, why: "the directory was moved or removed",
        hint: "move it back: ls -ld \(store.directory)")
    }
    // Without an open file, opening failed before: it is judged by what is there.
    let isMine = mine == nil || environment.isInPlace
    if isMine, let isSame = try reopen() { return isSame ? .same : .replaced(repair: nil) }
    environment.close()
    let source = isMine ? try? DataFile(store.directory.string) : mine
    let repair = try Salvage.run(store.directory, source: source, isOurs: true)
    try environment.reopen()
    return .replaced(repair: repair)
  }

  /// - Returns: whether it holds the last commit; nil when it is damaged.
  private func reopen() throws(LMDBError) -> Bool? {
    do throws(LMDBError) {
      return try environment.reopen()
    } catch {
      if error.isDamage { return nil }
      throw error
    }
  }
}
