import Checkpoints
import JobStore
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// Makes sure that the trainer finds the chosen checkpoint under its own name, with the bytes that were copied.
struct AdoptedPlacement: Sendable {
  enum Result: Sendable {
    /// The trainer's own file is as it was copied.
    case untouched(path: String)
    /// A copy was put in its place; what was there has another name now.
    case restored(path: String, setAside: String?)
    /// It could not be put there, so a copy elsewhere is used.
    case elsewhere(path: String, why: String)
    /// The checkpoint is damaged.
    case damaged(String)
    case failed(String)
  }

  let settings: AdoptionSettings
  let checkpoints: LocalCheckpoints
  let jobID: JobID
  /// For copies that cannot be put in place.
  let spare: FilePath
  /// Whether the program is given the path.
  let passesPath: Bool
  let isCancelled: @Sendable () -> Bool

  func place(_ record: CheckpointRecord) -> Result {
    let verdict = checkpoints.verify(record.name, of: jobID, step: record.step, thorough: false)
    guard let manifest = verdict.manifest,
      let files = AdoptedFiles(manifest, in: checkpoints.path(of: record.name))
    else { return .damaged(verdict.fault ?? "it is not a copy of a file") }
    // The file may have another name since.
    let path = record.adopted?.path ?? files.contents.path
    var why = "\(path) does not match the pattern '\(settings.pattern)'"
    if settings.covers(path) {
      if files.matches(FilePath(path), isCancelled: isCancelled) { return .untouched(path: path) }
      do throws(CheckpointError) {
        let aside = try files.restore(to: FilePath(path), isCancelled: isCancelled)
        return .restored(path: path, setAside: aside?.string)
      } catch {
        if error.code == .damaged { return .damaged(error.what) }
        why = "\(error)"
      }
    }
    guard passesPath, !isCancelled() else { return .failed(why) }
    do throws(CheckpointError) {
      if FileKind.of(spare) != nil { try? FileSystem.removeTree(spare) }
      let target = spare.appending(files.contents.name)
      _ = try files.restore(to: target, isCancelled: isCancelled)
      return .elsewhere(path: target.string, why: why)
    } catch {
      return error.code == .damaged ? .damaged(error.what) : .failed("\(why); \(error)")
    }
  }
}
