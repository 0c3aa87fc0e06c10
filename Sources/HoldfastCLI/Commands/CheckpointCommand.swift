import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage
import Vocabulary

struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint",
    abstract: "Take a durable checkpoint of a running job now.",
    discussion: "Sends SIGUSR1 to the job's supervisor and waits until the checkpoint is durable.")

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Option(help: ArgumentHelp("How long to wait.", valueName: "duration"), transform: parseDuration)
  var timeout: Duration = .seconds(600)

  func run() throws {
    let reader = try job.open()
    guard let live = try Signals.supervisor(of: reader) else {
      throw Failure(
        .gaveUp, "cannot take a checkpoint: job '\(reader.name)' is not running",
        path: reader.directory.string,
        hints: ["holdfast checkpoints list \(reader.argument)  existing checkpoints"])
    }
    let before = Baseline(
      names: Set(try reader.store.checkpoints().map(\.name)),
      lastEvent: try reader.store.events.newest(1).last?.sequence ?? 0,
      degradationChange: LiveRecord.degradationChange(in: FilePath(live.runDirectory)))
    try Signals.send(SIGUSR1, live, reader)
    var waited = Duration.zero
    while waited < timeout, try reader.isSupervised() {
      if let new = try reader.store.checkpoints().last(where: {
        $0.isWhole && !before.names.contains($0.name)
      }) {
        let output = Output.standard
        if format.json {
          return output.json(.object(["format_version": .integer(1), "checkpoint": new.json]))
        }
        return output.line(
          "\(new.name) is durable: step \(Words.number(new.step)), \(Words.bytes(new.bytes))")
      }
      if let refusal = try refusal(reader, since: before, live, waited) {
        throw Failure(
          refusal.status, "no checkpoint was taken", path: reader.directory.string, why: refusal.why,
          hints: ["holdfast status \(reader.argument)", "df -h \(reader.directory)  check the free space"])
      }
      usleep(20_000)
      waited += .milliseconds(20)
    }
    guard try reader.isSupervised() else {
      throw Failure(
        .gaveUp, "the supervisor exited before a checkpoint was taken", path: reader.directory.string,
        hints: ["holdfast events \(reader.argument)  why", "holdfast checkpoints list \(reader.argument)"])
    }
    throw Failure(
      .gaveUp, "no checkpoint within \(Words.duration(timeout))", path: reader.directory.string,
      hints: ["holdfast status \(reader.argument)  check whether it makes progress"])
  }

  /// The state before the request.
  private struct Baseline {
    var names: Set<String>
    var lastEvent: UInt64
    var degradationChange: UInt64
  }

  /// A degradation from before the request may be cleared by this checkpoint, so it counts only after this
  /// time.
  private static let staleReasonTimeout = Duration.seconds(10)

  /// Why the supervisor takes no checkpoint: from the store, or from the run directory when the store is
  /// full. Degradations that do not affect checkpoints, such as a port in use, are ignored.
  private func refusal(
    _ reader: JobReader, since before: Baseline, _ live: LiveRecord, _ waited: Duration
  ) throws -> (status: ExitStatus, why: String)? {
    let refusals: [EventKind] = [.checkpointUnavailable, .stageFailed]
    let events = try reader.store.events.first(1000, after: before.lastEvent)
    if let event = events.first(where: { $0.kind.word.map(refusals.contains) == true }) {
      return (.gaveUp, event.message)
    }
    let run = FilePath(live.runDirectory)
    let isNews = LiveRecord.degradationChange(in: run) != before.degradationChange
    guard isNews || waited >= Self.staleReasonTimeout else { return nil }
    let reason = LiveRecord.degradations(in: run)?.first(where: \.preventsCheckpoints)
    return reason.map { (.io, $0.text) }
  }
}
