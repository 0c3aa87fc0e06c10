import Glibc
import JobStore
import POSIX
import Supervisor
import TrainerProtocol

/// `history` for people.
enum HistoryText {
  static func lines(_ attempts: [AttemptRecord], _ status: JobStatus) -> [String] {
    var rows = [["#", "BEGAN", "LASTED", "FROM", "STEPS", "REPLAYED", "ENDED"]]
    rows += attempts.map { row($0, status) }
    var lines = Text.table(rows, right: [0])
    let steps = status.job.finishedStep ?? status.newest?.step ?? 0
    let replayed = attempts.map(\.replayedSteps).saturatingSum
    lines.append("")
    var summary = "\(Words.count(UInt64(attempts.count), "attempt")), \(Words.count(steps, "step"))"
    let spent = status.timeSpent
    if spent.total > 0 { summary += " in \(Words.duration(seconds: spent.total))" }
    summary += ", \(Words.number(replayed)) replayed"
    if let goodput = spent.goodput { summary += ", goodput \(Words.percent(goodput))" }
    lines.append(summary)
    for attempt in attempts where attempt.failure?.traceback != nil {
      lines.append(
        "Traceback of attempt \(attempt.attempt): holdfast history \(status.argument) --attempt \(attempt.attempt)"
      )
    }
    return lines
  }

  private static func row(_ attempt: AttemptRecord, _ status: JobStatus) -> [String] {
    let end = attempt.endedAtNs ?? status.nowNs
    let lasted = Double(end - min(end, attempt.startedAtNs)) / 1e9
    return [
      "\(attempt.attempt)", Text.date(attempt.startedAtNs), Words.duration(seconds: lasted),
      attempt.resumedFrom?.level ?? "beginning", steps(attempt), replayed(attempt), ended(attempt),
    ]
  }

  private static func steps(_ attempt: AttemptRecord) -> String {
    guard let first = attempt.firstStep else { return "none" }
    return attempt.running ? "\(first)-" : "\(first)-\(attempt.lastStep ?? first)"
  }

  private static func replayed(_ attempt: AttemptRecord) -> String {
    guard attempt.replayedSteps > 0 else { return "0" }
    if let step = attempt.differsAtStep {
      return "\(attempt.replayedSteps) DIFFERS at \(step) (\(attempt.differsIn ?? "record"))"
    }
    return "\(attempt.replayedSteps) identical"
  }

  static func ended(_ attempt: AttemptRecord) -> String {
    if attempt.running { return "running" }
    var text = attempt.causeWord
    if let leaving = attempt.leaving, attempt.outcome == "stopped" {
      text += ": \(leaving.by)"
      guard let saved = leaving.savedSeconds else { return text }
      return text
        + ", saved in \(Words.duration(seconds: saved)) of \(Words.duration(seconds: leaving.graceSeconds))"
    }
    if let signal = attempt.signal { text += ": \(Words.signal(signal))" }
    if let status = attempt.exitStatus, attempt.cause != "finished" { text += ": exit \(status)" }
    if let bytes = attempt.peakResidentBytes, attempt.cause == "oom_killed" {
      text += ", peak \(Words.bytes(bytes))"
    } else if let kills = attempt.oomKills {
      text += ", out of memory: the kernel killed \(kills) of its processes"
    }
    if attempt.finishedStep != nil, attempt.outcome == "failed" {
      text += ", after its training was complete"
    }
    if let failure = attempt.failure { text += ", \(failure.type): \(failure.message)" }
    return text
  }

  static func details(_ attempt: AttemptRecord, _ status: JobStatus) -> [String] {
    var lines = lines([attempt], status).prefix(2).map { $0 }
    if let bytes = attempt.peakResidentBytes { lines.append("peak memory \(Words.bytes(bytes))") }
    if let failure = attempt.failure {
      lines += Text.indented("\(failure.type): \(failure.message)", by: "", further: "  ")
      if let traceback = failure.traceback { lines += Text.indented(traceback, by: "  ", further: "  ") }
    }
    return lines
  }
}
