import Checkpoints
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage

extension JobReader {
  /// Splits the words of a command into the job and the rest.
  /// - Parameter stateDirectory: `--state-dir`; the first word is then the job only if it is its name.
  static func open(_ words: [String], stateDirectory: String?) throws -> (JobReader, rest: [String]) {
    let job = stateDirectory == nil ? words.first : nil
    let reader = try open(job, stateDirectory: stateDirectory)
    return (reader, Array(job != nil || words.first == reader.name ? words.dropFirst() : words[...]))
  }

  /// The path of a checkpoint and its name.
  /// - Parameter name: nil: the newest one of the whole state, or of weights if there is no other.
  func checkpoint(_ name: String?) throws -> (name: String, path: FilePath) {
    let name = try name ?? newestCheckpoint()
    let known = try checkpoints.names()
    guard known.contains(name) else { throw noSuchCheckpoint(name, known) }
    return (name, checkpoints.path(of: name))
  }

  private func newestCheckpoint() throws -> String {
    let listed = try store.checkpoints()
    guard let newest = listed.last(where: \.isWhole) ?? listed.last else { throw noCheckpointYet() }
    return newest.name
  }

  func noCheckpointYet() -> Failure {
    Failure(
      .missing, "job '\(name)' has no checkpoint yet", path: checkpoints.directory.string,
      hints: ["holdfast checkpoint \(argument)  take one now"])
  }

  func noSuchCheckpoint(_ name: String, _ known: [String]) -> Failure {
    let guess = Suggestions.nearest(to: name, among: known)
    return Failure(
      .missing,
      "job '\(self.name)' has no checkpoint '\(name)'\(guess.map { "; did you mean '\($0)'?" } ?? "")",
      path: checkpoints.directory.string, hints: ["holdfast checkpoints list \(argument)"])
  }

  func damagedCheckpoint(_ name: String, _ error: CheckpointError) -> Failure {
    Failure(
      .damaged, "checkpoint '\(name)' is damaged", path: (error.path ?? checkpoints.path(of: name)).string,
      why: error.statement, hints: ["holdfast checkpoints verify \(argument) \(name)  show the damage"])
  }
}

extension JobReader {
  /// Those of the manifest, with the ones that it lacks: reported after it was written, NaN and infinite ones.
  func metrics(of name: String, _ manifest: Manifest) -> [String: Double] {
    let recorded = try? store.checkpoints().first { $0.name == name }?.metrics
    return manifest.metrics.merging(recorded ?? [:]) { $1 }
  }
}

extension JobStatus {
  /// Adds complete checkpoints on disk that the store does not list. Call this only while no supervisor is running.
  /// - Returns: them.
  mutating func addUnlisted(_ reader: JobReader) throws(CheckpointError) -> [CheckpointRecord] {
    let unlisted = try UnlistedCheckpoints.find(in: reader.checkpoints, of: job.id, listed: checkpoints)
    checkpoints = (checkpoints + unlisted).sorted { ($0.step, $0.name) < ($1.step, $1.name) }
    return unlisted
  }
}
