import LMDB
import POSIX
import Reporting
import SystemPackage

/// What the writer does about a store that was changed or damaged under it.
extension WriterLoop {
  /// Opens the store again. Where it is damaged, a new one is made of what can be read; where the file lost its
  /// name, of the file that is open still, which has all of it.
  func openAgain() throws {
    let mine = try? environment.openFile()
    guard environment.isDirectoryInPlace else {
      throw StoreError(
        .missing, path: store.directory, why: "the directory was moved or removed",
        hint: "move it back: ls -ld \(store.directory)")
    }
    // Without a file that is open, opening failed before: it is judged by what is there.
    let isMine = mine == nil || environment.isInPlace
    if isMine, let isSame = try reopen() {
      if !isSame { replaced(nil) }
      return
    }
    environment.close()
    let source = isMine ? try? DataFile(store.directory.string) : mine
    let repair = try Salvage.run(store.directory, source: source, isOurs: true)
    try environment.reopen()
    replaced(repair)
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

  private func replaced(_ repair: StoreRepair?) {
    nextEvent = max(nextEvent, ((try? store.events.lastNumber) ?? 0) &+ 1)
    // Written when they change, and by nobody else: rows of attempts would be compared under wrong names.
    waiting.append(
      StoreWriter.Submission(operations: [.document(Self.namesKey, namesByAttempt)], completion: nil))
    report(.replaced(repair))
  }
}
