import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage

/// What a start of the supervisor decides about the trainer's own files, before they are adopted.
enum AdoptionStart {
  /// Files that are not used, in the store.
  private struct Ignored: Codable {
    static let document = "adoption_ignored"
    var files: [AdoptedFile]
  }

  /// - Throws: the job's checkpoints are of the other kind.
  static func check(_ configuration: Configuration, _ store: JobStore) throws {
    let records = try store.checkpoints()
    if configuration.adoption != nil, let own = records.last(where: { $0.adopted == nil }) {
      throw SupervisorError(
        .otherJob, "job '\(configuration.job)' has checkpoints of a trainer that uses holdfast's protocol",
        path: configuration.stateDirectory, why: "its newest one is \(own.name)",
        hint: "leave out --adopt, or use another job: holdfast run --job NAME --adopt …")
    }
    if configuration.adoption == nil, !records.contains(where: { $0.adopted == nil }),
      let adopted = records.last
    {
      throw SupervisorError(
        .otherJob, "job '\(configuration.job)' has adopted checkpoints, which only --adopt uses",
        path: configuration.stateDirectory,
        why: "its newest one is \(adopted.name), a copy of \(adopted.adopted?.path ?? "a file")",
        hint: """
          add --adopt PATTERN, as before
          holdfast run --resume-from none --yes …  start over without them
          """)
    }
  }

  /// Files of an earlier run, where the user asked for a new one: after `--again`, and with `--resume-from`.
  static func ignored(_ settings: AdoptionSettings, _ recovered: Recovery.Result) throws -> [AdoptedFile] {
    if let known: Ignored = try recovered.store.document(Ignored.document) { return known.files }
    var ignored = Ignored(files: [])
    if recovered.standing.attempt == 0,
      try !recovered.directories.archivedRuns.isEmpty || ResumeFromAction.wasApplied(recovered.store)
    {
      ignored.files = Adopter.candidates(settings).usable.map(\.record)
    }
    _ = recovered.writer.submitAndWait([.document(Ignored.document, ignored)])
    if let last = ignored.files.last {
      let others = ignored.files.count > 1 ? " and \(ignored.files.count - 1) more" : ""
      Console.line("\(last.path)\(others) of an earlier run: not used, since this run starts anew")
    }
    return ignored.files
  }
}
