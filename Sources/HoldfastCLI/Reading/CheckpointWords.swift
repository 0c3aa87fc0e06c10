import Checkpoints
import JobFile
import Reporting
import SystemPackage

/// The words of a command that names a job and its checkpoints.
enum CheckpointWords {
  /// With `--state-dir`, the first word is a checkpoint unless it is the job's name.
  static func read(_ words: [String], _ place: StateOption) throws -> (JobReader, names: [String]) {
    let job = place.stateDirectory == nil ? words.first : nil
    let reader = try JobReader.open(job, stateDirectory: place.stateDirectory)
    let isNamed = job != nil || words.first == reader.name
    return (reader, isNamed ? Array(words.dropFirst()) : words)
  }

  static func missing(_ name: String, _ known: [String], _ reader: JobReader) -> Failure {
    let guess = Suggestions.nearest(to: name, among: known)
    return Failure(
      .missing,
      "job '\(reader.name)' has no checkpoint '\(name)'\(guess.map { "; did you mean '\($0)'?" } ?? "")",
      path: reader.checkpoints.directory.string, hints: ["holdfast checkpoints list \(reader.argument)"])
  }
}
