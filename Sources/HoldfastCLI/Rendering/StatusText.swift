import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import Vocabulary

/// Text output of `status`.
extension JobStatus {
  func text(_ output: Output) -> [Line] {
    var lines = [headline(output)]
    func field(_ name: String, _ text: String) {
      lines.append("\(String(repeating: " ", count: max(0, 11 - name.count)))\(name): \(text)")
    }
    if isSupervised, let pid = live?.trainerPid, let attempt = attempts.newest {
      field(
        "Trainer",
        "pid \(pid), up \(age(attempt.startedAtNs)): \(Hint(command: job.command))")
    } else {
      field("Command", Hint(command: job.command).text)
    }
    if isSupervised, let doing = live?.doing { field("Waits", doing) }
    if let loop { field("Loop", loop) }
    if let pause { field("Pause", pause) }
    if let eta { field("ETA", eta) }
    lines.append("")
    lines += (checkpointLines() + lossLines(output)).map { Line($0) }
    if let goodput { field("Goodput", goodput) }
    field("Attempts", attemptSummary)
    if let failing { field("Failing", failing) }
    if let deviation {
      field(
        "Deviates",
        "\(deviation.words) (attempt \(deviation.attempt)); likely cause: \(deviation.likelyCause)")
    }
    field("Disk", "\(Words.bytes(diskBytes)) used, \(freeWords) free; \(skippedWords)")
    if let missingCheckpoints {
      lines.append(" \(output.paint("\(output.warningSign) Missing", .yellow)): \(missingCheckpoints)")
    }
    if isSupervised, let notice = attempts.newest?.notice {
      let left = Double(notice.deadlineNs - min(notice.deadlineNs, nowNs)) / 1e9
      let what = "notice from \(notice.source) (\(notice.action))"
      lines.append(
        " \(output.paint("\(output.warningSign) Preempted", .yellow)): \(what), \(Words.duration(seconds: left)) left"
      )
    }
    for reason in degraded {
      lines.append(" \(output.paint("\(output.warningSign) Degraded", .yellow)): \(reason)")
    }
    if state == .gaveUp, let unit = KnownJobs(locations: .current).unit(of: directory) {
      field("Hint", unit.startAgain.text)
    }
    if !events.isEmpty { lines.append("") }
    for event in events.reversed().prefix(3) {
      lines.append("\(LocalTime.clock(event.timeNs)) \(event.message)")
    }
    lines.append("More: holdfast history \(argument), holdfast events \(argument)")
    return lines
  }

  private func headline(_ output: Output) -> Line {
    let color: Output.Color =
      switch state {
      case .running, .finished: .green
      case .gaveUp: .red
      default: .yellow
      }
    var text: Line = "\(output.paint(output.bullet, color)) \(name): \(state.words)"
    let step = shownStep
    if let step { text += ", step \(Words.number(step))" }
    if let total = job.totalSteps, let step, state != .finished, total > 0 {
      text += " of \(Words.number(total)) (\(Words.percent(Double(step) / Double(total))))"
    }
    if let attempt = attempts.newest { text += ", attempt \(attempt.attempt)" }
    return text
  }

  private func ago(_ time: UInt64) -> String { "\(age(time)) ago" }

  private var loop: String? {
    guard let newest else { return nil }
    var text = "epoch \(Words.number(newest.epoch &+ 1))"
    if let total = job.totalEpochs { text += " of \(Words.number(total))" }
    text += ", batch \(Words.number(newest.batch))"
    if let total = job.batchesPerEpoch { text += " of \(Words.number(total))" }
    text += ", \(newest.phaseName)"
    for (name, value) in metrics where !value.isNaN || name == "loss" {
      text += ", \(name) \(Words.metric(value))"
    }
    if let age = pace.age { text += "; \(Words.duration(seconds: age)) ago" }
    return text
  }

  /// A pause that is reported as degraded is not shown twice.
  private var pause: String? {
    guard let silence, !degraded.contains(silence) else { return nil }
    return silence
  }

  /// Time to the last step, at the rate of this attempt and the goodput so far.
  var secondsLeft: Double? {
    guard state == .running, let stepsPerSecond, stepsPerSecond > 0, let newest,
      let total = job.totalSteps, total > newest.step
    else { return nil }
    // The goodput of the first minutes is dominated by start-up.
    let goodput = timeSpent.total > 600 ? max(0.1, timeSpent.goodput ?? 1) : 1
    return Double(total - newest.step) / stepsPerSecond / goodput
  }

  private var eta: String? {
    guard state == .running, let stepsPerSecond, stepsPerSecond > 0 else { return nil }
    let rate = "\(Words.metric(stepsPerSecond)) steps/s"
    guard let left = secondsLeft else { return rate }
    return "\(LocalTime.clock(nowNs, after: left)), in \(Words.duration(seconds: left)) (\(rate))"
  }

  /// `98.5 % of 3 h 17 min; start-up 0.9 %, down 0.4 %`
  private var goodput: String? {
    let spent = timeSpent
    guard let goodput = spent.goodput, newest != nil else { return nil }
    let text = "\(Words.percent(goodput)) of \(Words.duration(seconds: spent.total))"
    let losses = Self.losses(spent).map { "\($0.name) \(Words.percent($0.share))" }
    return losses.isEmpty ? text : "\(text); \(losses.joined(separator: ", "))"
  }

  /// Shares of unproductive time, the largest first, without those that round to zero.
  static func losses(_ spent: TimeSpent) -> [(name: String, share: Double)] {
    [
      ("start-up", spent.startUp), ("save stall", spent.saveStall), ("replay", spent.replay),
      ("down", spent.down),
    ].map { (name: $0.0, share: $0.1 / spent.total) }.filter { $0.share >= 0.0005 }
      .sorted { $0.share > $1.share }
  }

  private func checkpointLines() -> [String] {
    var rows: [[String]] = []
    if let staged {
      rows.append([
        "staged", "step \(Words.number(staged.step))", staged.atNs.map(ago) ?? "", Words.bytes(staged.bytes),
      ])
    }
    for record in newestCheckpoints.prefix(2) {
      rows.append([
        "durable", Self.place(of: record), ago(record.createdAtNs), Words.bytes(record.bytes),
        state(of: record),
      ])
    }
    if let weights {
      rows.append([
        "weights", "step \(Words.number(weights.step))", ago(weights.createdAtNs), Words.bytes(weights.bytes),
        state(of: weights),
      ])
    }
    if job.remote != nil {
      rows.append(
        replicated.map {
          [
            "replicated", Self.place(of: $0), ago($0.createdAtNs), Words.bytes($0.bytes),
            "verified there",
          ]
        } ?? ["replicated", "none yet"])
    }
    for best in bestCheckpoints {
      rows.append([
        "best", "step \(Words.number(best.record.step))", ago(best.record.createdAtNs),
        Words.bytes(best.record.bytes), "\(best.policy.monitor ?? "") \(Words.metric(best.value))",
      ])
    }
    if !policies.isDurable { rows.append(["none to disk, except on request: --no-checkpoints"]) }
    if rows.isEmpty { rows = [["none yet"]] }
    return TextTable.lines(rows).enumerated().map { ($0 == 0 ? "Checkpoints: " : "             ") + $1 }
  }

  private static func place(of record: CheckpointRecord) -> String {
    record.adopted.map { "\(record.name) of \($0.path)" } ?? "step \(Words.number(record.step))"
  }

  private func lossLines(_ output: Output) -> [String] {
    guard newest != nil || isAdopted, state != .finished else { return [] }
    var losses = [("a process", resume(afterPowerLoss: false)), ("power", resume(afterPowerLoss: true))]
    if job.remote != nil { losses.append(("the machine", resumeElsewhere)) }
    let rows = losses.map { [$0.0, words($0.1)] }
    return TextTable.lines(rows).enumerated().map { ($0 == 0 ? " If it lost: " : "             ") + $1 }
  }

  func words(_ at: ResumeAt) -> String {
    if let adopted = at.adopted { return "resume with \(adopted.path) of \(ago(adopted.modifiedAtNs))" }
    if at.level == nil, at.replay == 0 { return "start from the beginning" }
    let place =
      at.level == nil
      ? "start from the beginning"
      : at.step == 0 ? "resume before the first step" : "resume at \(Words.number(at.step))"
    let cost = at.seconds.map { " (\(Words.duration(seconds: $0)))" } ?? ""
    return "\(place), replay \(Words.count(at.replay, "step"))\(cost)"
  }

  private var attemptSummary: String {
    var causes: [String: UInt64] = [:]
    for (cause, count) in totals.causes {
      causes[AttemptRecord.word(ofCause: cause.isEmpty ? nil : Stored(text: cause)), default: 0] += count
    }
    let list = causes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    let budget = "restart budget \(restartBudget) of \(maxStalls)"
    return "\(totals.count)\(list.isEmpty ? "" : " (\(list))"), \(budget)"
  }

  var diskBytes: UInt64 { ([storeBytes] + checkpoints.map(\.bytes)).saturatingSum }

  private var freeWords: String {
    guard let checkpointFreeBytes else { return Words.bytes(freeBytes) }
    return "\(Words.bytes(checkpointFreeBytes)) for checkpoints and \(Words.bytes(freeBytes)) for the store"
  }

  /// For users; nil: they are in place.
  var missingCheckpoints: String? {
    guard isWithoutCheckpoints else { return nil }
    return "the checkpoints are not in \(checkpointDirectory); is its filesystem mounted?"
  }

  private var skippedWords: String { "\(Words.count(totals.skippedRecords, "record")) skipped" }
}
