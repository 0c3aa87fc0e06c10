import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage
import Vocabulary

struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Save a running job and stop it; the next start resumes.",
    discussion: """
      Sends SIGTERM to the job's supervisor and waits until it exits. Under systemd, use systemctl stop instead: \
      a unit may restart a stopped job.
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    guard let live = try Signals.supervisor(of: reader) else {
      let status = try JobStatus(reader)
      return answer("job \(reader.name) is not running (\(status.state.words))", status, output)
    }
    try Signals.send(SIGTERM, live, reader)
    // The supervisor exits within its grace time; 30 s more for a loaded machine.
    let timeout = min(max(0, live.graceSeconds), 1e9) + 30
    var waited = 0.0
    while try reader.isSupervised() {
      guard waited < timeout else {
        throw Failure(
          .gaveUp, "job '\(reader.name)' has not stopped within \(Words.duration(seconds: timeout))",
          path: reader.directory.string,
          hints: [
            "holdfast stop \(reader.argument)  again: a second signal kills the trainer",
            "kill -KILL \(live.pid)",
          ])
      }
      usleep(50_000)
      waited += 0.05
    }
    let status = try JobStatus(reader)
    if status.state == .finished { return answer("job \(reader.name) finished", status, output) }
    let point = status.resume(afterPowerLoss: true)
    let step = Words.number(status.newest?.step ?? 0)
    answer("job \(reader.name) stopped at step \(step); \(JobStatus.words(point))", status, output)
  }

  private func answer(_ text: String, _ status: JobStatus, _ output: Output) {
    if format.json { output.json(status.json) } else { output.line(text) }
  }
}

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
      if let new = try reader.store.checkpoints().last(where: { !before.names.contains($0.name) }) {
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

/// Signals to a running supervisor. Its pid is valid only while it holds the job's lock.
enum Signals {
  static func supervisor(of reader: JobReader) throws -> LiveRecord? {
    guard try reader.isSupervised(), let live = try reader.store.live() else { return nil }
    guard ProcessTable.startTime(of: live.pid) == live.startTime else {
      throw Failure(
        .gaveUp, "the supervisor of job '\(reader.name)' is still starting",
        path: reader.directory.string, hints: ["holdfast status \(reader.argument)  try again in a moment"])
    }
    return live
  }

  static func send(_ signal: Int32, _ live: LiveRecord, _ reader: JobReader) throws {
    guard kill(live.pid, signal) == 0 else {
      throw Failure(
        .io, "cannot signal the supervisor (pid \(live.pid))", path: reader.directory.string,
        why: String(cString: strerror(errno)), hints: ["ps -o pid,user,args -p \(live.pid)  check its owner"])
    }
  }
}
