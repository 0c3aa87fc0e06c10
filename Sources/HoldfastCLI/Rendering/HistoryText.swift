import Glibc
import JobStore
import POSIX
import Reporting
import Supervisor
import TrainerProtocol
import Vocabulary

/// Text output of `history`.
struct HistoryText {
  /// Attempts with a traceback that get a line of their own.
  private static let tracebackLines = 10

  private let status: JobStatus
  private let output: Output
  private var table: PagedTable
  /// The newest attempts with a traceback, and the number of all.
  private var tracebacks: [UInt64] = []
  private var tracebackCount: UInt64 = 0

  init(_ status: JobStatus, _ output: Output) {
    self.status = status
    self.output = output
    table = PagedTable(
      output, header: ["#", "BEGAN", "LASTED", "FROM", "STEPS", "REPLAYED", "ENDED"], right: [0])
  }

  /// Adds the next attempt.
  mutating func add(_ attempt: AttemptRecord) {
    table.add(Self.row(attempt, status))
    if attempt.failure?.traceback != nil {
      tracebackCount += 1
      tracebacks.append(attempt.attempt)
      if tracebacks.count > Self.tracebackLines { tracebacks.removeFirst() }
    }
  }

  mutating func end() {
    table.flush()
    output.line("")
    output.line(summary)
    if let failing = status.failing { output.line("Failing: \(failing)") }
    if let deviation = status.deviation {
      output.line("Deviates \(deviation.words); likely cause: \(deviation.likelyCause)")
    }
    let others = tracebackCount - UInt64(tracebacks.count)
    if others > 0 {
      output.line(
        "Tracebacks of \(Words.count(others, "earlier attempt")): holdfast history \(status.argument) "
          + "--attempt NUMBER")
    }
    for number in tracebacks {
      output.line("Traceback of attempt \(number): holdfast history \(status.argument) --attempt \(number)")
    }
  }

  /// Of all attempts, including those not shown.
  private var summary: String {
    let steps = status.job.finishedStep ?? status.newest?.step ?? 0
    let progress =
      status.isAdopted ? Words.count(steps, "adopted checkpoint") : Words.count(steps, "step")
    var summary = "\(Words.count(status.totals.count, "attempt")), \(progress)"
    let spent = status.timeSpent
    if spent.total > 0 { summary += " in \(Words.duration(seconds: spent.total))" }
    guard !status.isAdopted else { return summary }
    summary += ", \(Words.number(status.totals.replayedSteps)) replayed"
    if let goodput = spent.goodput { summary += ", goodput \(Words.percent(goodput))" }
    return summary
  }

  private static func row(_ attempt: AttemptRecord, _ status: JobStatus) -> [String] {
    let end = attempt.endedAtNs ?? status.nowNs
    let lasted = Double(end - min(end, attempt.startedAtNs)) / 1e9
    return [
      "\(attempt.attempt)", LocalTime.date(attempt.startedAtNs), Words.duration(seconds: lasted),
      from(attempt), steps(attempt), replayed(attempt), ended(attempt),
    ]
  }

  private static func from(_ attempt: AttemptRecord) -> String {
    guard let from = attempt.resumedFrom else { return "beginning" }
    return from.level.word == .adopted ? "adopted-\(from.step)" : from.level.text
  }

  private static func steps(_ attempt: AttemptRecord) -> String {
    guard let first = attempt.firstStep else {
      return attempt.adopted.map { "\($0) adopted" } ?? "none"
    }
    return attempt.running ? "\(first)-" : "\(first)-\(attempt.lastStep ?? first)"
  }

  private static func replayed(_ attempt: AttemptRecord) -> String {
    guard attempt.replayedSteps > 0 else { return "0" }
    if let step = attempt.differsAtStep {
      let what = attempt.differences?.first.map { $0.name ?? $0.part } ?? attempt.differsIn ?? "record"
      return "\(attempt.replayedSteps) DIFFERS at \(step) (\(what))"
    }
    return "\(attempt.replayedSteps) identical"
  }

  static func ended(_ attempt: AttemptRecord) -> String {
    if attempt.running { return "running" }
    var text = attempt.causeWord
    if let leaving = attempt.leaving, attempt.outcome?.word == .stopped {
      text += ": \(leaving.by)"
      guard let saved = leaving.savedSeconds else { return text }
      return text
        + ", saved in \(Words.duration(seconds: saved)) of \(Words.duration(seconds: leaving.graceSeconds))"
    }
    if let signal = attempt.signal { text += ": \(Words.signal(signal))" }
    if let status = attempt.exitStatus, attempt.cause?.word != .finished { text += ": exit \(status)" }
    if let bytes = attempt.peakResidentBytes, attempt.cause?.word == .oomKilled {
      text += ", peak \(Words.bytes(bytes))"
    } else if let kills = attempt.oomKills {
      text += ", out of memory: the kernel killed \(kills) of its processes"
    }
    if attempt.finishedStep != nil, attempt.outcome?.word == .failed {
      text += ", after its loop was complete"
    }
    if let failure = attempt.failure { text += ", \(failure.type): \(failure.message)" }
    return text
  }

  /// Prints one attempt in detail.
  mutating func details(_ attempt: AttemptRecord) {
    table.add(Self.row(attempt, status))
    table.flush()
    if let bytes = attempt.peakResidentBytes { output.line("peak memory \(Words.bytes(bytes))") }
    for problem in attempt.recordProblems ?? [] { output.line("invalid record: \(problem)") }
    if let step = attempt.differsAtStep, let items = attempt.differences {
      let difference = ReplayAudit.Difference(step: step, items: items)
      output.line("step \(Words.number(step)) was replayed and differs:")
      for item in items { output.line("  \(item.words)") }
      output.line("likely cause: \(difference.likelyCause)")
    }
    guard let failure = attempt.failure else { return }
    var lines = VisibleText.indented("\(failure.type): \(failure.message)", by: "", further: "  ")
    if let traceback = failure.traceback { lines += VisibleText.indented(traceback, by: "  ", further: "  ") }
    for line in lines { output.line(line) }
  }
}
