import ArgumentParser
import Checkpoints
import JobFile
import JobStore
import Reporting
import Storage
import Supervisor
import SystemPackage
import TrainerProtocol

struct CheckpointsPush: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "push",
    abstract: "Copy checkpoints to the remote storage now.",
    discussion: """
      A running job replicates its checkpoints itself; this copies one at once, or one that was left out. Without a \
      name: the newest. What the storage has already is not copied again.

        holdfast checkpoints push resnet50
        holdfast checkpoints push resnet50 step-48000 --remote s3:bucket/jobs
      """)

  @Argument(help: "Name of the job and of checkpoints. Default: the newest checkpoint.") var words: [String] =
    []
  @OptionGroup var place: StateOption
  @OptionGroup var format: JSONOption
  @Option(.remote) var remote: Resolution.Argument?

  func run() throws {
    let (reader, names) = try JobReader.open(words, stateDirectory: place.stateDirectory)
    let records = try reader.store.checkpoints()
    let remote = try RemoteOption.open(self.remote, job: reader.job)
    let wanted =
      try names.isEmpty
      ? (records.last { $0.isWhole } ?? records.last).map { [$0] } ?? []
      : names.map { name in
        guard let record = records.first(where: { $0.name == name }) else {
          throw reader.noSuchCheckpoint(name, records.map(\.name))
        }
        return record
      }
    guard !wanted.isEmpty else { throw reader.noCheckpointYet() }
    let mark: String = try reader.store.document(RemoteStart.markDocument) ?? "00000000"
    let output = Output.standard
    var pushed: [JSONValue] = []
    for record in wanted {
      guard
        let key = StorageKey(attempt: record.attempt, mark: UInt32(mark, radix: 16) ?? 0, name: record.name)
      else { continue }
      let bar = ProgressBar("push \(record.name)", isShown: !format.json)
      do throws(StorageError) {
        try remote.storage.save(
          reader.checkpoints.path(of: record.name), as: key, Transfer(progress: { bar.show($0) }))
      } catch {
        bar.end()
        throw Failure(storage: error, "cannot copy \(record.name) to \(remote.storage.name)", reader)
      }
      bar.end()
      pushed.append(
        .object(["name": .string(record.name), "key": .string(key.text), "size_bytes": .count(record.bytes)]))
      if !format.json {
        output.line("\(record.name) is at \(remote.storage.name): \(Words.bytes(record.bytes))")
      }
    }
    if format.json { output.json(.object(["format_version": .integer(1), "pushed": .array(pushed)])) }
  }
}
