import Supervision
import Vocabulary

// A cell of the table as one line: what was done, with every value, and what came of the state.
// Times are counted from the event; `-timers` is all of them but the end of the grace time.
extension Driver {
  /// `running [50 -] durable 50 request 2 in 1: withdraw; request save 2 in 1`; nil where nothing
  /// changed at all.
  func cell(for event: Event) -> String? {
    var driver = self
    driver.wait(.seconds(2))
    let before = driver.state
    let actions = driver.send(event)
    if driver.state == before, actions.isEmpty { return nil }
    var texts: [String] = []
    var disarmed: [TimerKind] = []
    func flush() {
      let isEvery = Set(disarmed) == Set(TimerKind.allCases).subtracting([.graceEnd])
      if !disarmed.isEmpty {
        texts.append(isEvery ? "-timers" : disarmed.map { "-\($0.rawValue)" }.joined(separator: " "))
      }
      disarmed = []
    }
    for action in actions {
      if case .disarm(let kind) = action {
        disarmed.append(kind)
      } else if let text = action.text(from: driver.now) {
        flush()
        texts.append(text)
      }
    }
    flush()
    return driver.state.text + (texts.isEmpty ? "" : ": \(texts.joined(separator: "; "))")
  }
}

private func seconds(_ duration: Duration) -> String {
  let milliseconds = Int((duration / .milliseconds(1)).rounded())
  return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
}

extension State {
  var text: String {
    var words = [phase.rawValue]
    let contents = slots.map { slot -> String in
      switch slot {
      case .empty: "-"
      case .complete(let step): "\(step)"
      }
    }
    words.append("[\(contents.joined(separator: " "))]")
    if durableStep > 0 { words.append("durable \(durableStep)") }
    if let request {
      let target = request.target.map { " at \($0.text)" } ?? ""
      words.append("\(request.kind) \(request.sequence) in \(request.slot)\(target)")
    }
    if let publication { words.append("publishes \(publication.step) of \(publication.slot)") }
    if let step = attempt?.progress?.step { words.append("at \(step)") }
    if let step = attempt?.finishedStep { words.append("finished \(step)") }
    if stageIsWaiting { words.append("waiting") }
    if publishNext { words.append("publishNext") }
    if !reasons.isEmpty { words.append("for \(Action.text(reasons))") }
    if let stop { words.append(stop.isByNotice ? "stopsByNotice" : "stops") }
    if preemption != nil { words.append("preempting") }
    if stageIsFailing { words.append("failing") }
    if standing.stalls > 0 { words.append("stalls \(standing.stalls)") }
    return words.joined(separator: " ")
  }
}

extension ResumePoint {
  var text: String {
    switch self {
    case .beginning: "beginning"
    case .checkpoint(let level, let step): "\(level.rawValue) \(step)"
    }
  }
}

extension Action {
  /// Everything in it; nil for timers that are taken away.
  func text(from now: Moment) -> String? {
    switch self {
    case .start(let attempt, let from, let skips, let request):
      "start \(attempt) from \(from.text)"
        + (request.map { " with request \($0.sequence) in \($0.slot) at \($0.target.text)" } ?? "")
        + (skips.isEmpty ? "" : " without \(skips.map { "\($0.epoch)/\($0.batch)" })")
    case .request(let kind, let sequence, let slot, let target, let deadline):
      "request \(kind) \(sequence) in \(slot)"
        + (target.map { " at \($0.text)" } ?? "")
        + (deadline.map { " by +\(seconds($0 - now.monotonic))" } ?? "")
    case .offer(let slot): slot.map { "offer \($0)" } ?? "withdraw"
    case .publish(let slot, let step, let reasons): "publish \(step) of \(slot) for \(Self.text(reasons))"
    case .mark(let step, let reasons): "mark \(step) for \(Self.text(reasons))"
    case .cancelPublishing: "cancelPublishing"
    case .signal(let signal): "\(signal)"
    case .clear: "clear"
    case .arm(let kind, let deadline): "\(kind.rawValue) +\(seconds(deadline - now.monotonic))"
    case .disarm: nil
    case .note(let note): "'\(note.text)'"
    case .persistStanding: "keep"
    case .acknowledge(let notice): "acknowledge \(notice.source)"
    case .end(let ending): "leave \(ending)"
    }
  }
}

extension Action {
  static func text(_ reasons: Set<CheckpointReason>) -> String {
    reasons.isEmpty ? "nothing" : reasons.map(\.word).sorted().joined(separator: "+")
  }
}

extension SaveTarget {
  var text: String {
    let epochs = everyEpochs.map { "end of \($0) epochs (\(epochEnd))" }
    return [step.map { "step \($0)" }, epochs].compactMap { $0 }.joined(separator: " or ")
  }
}

extension Note {
  var text: String {
    switch self {
    case .attemptEnded(let exit, let cause, let progressed):
      "ended \(exit) \(cause.rawValue)\(progressed ? "" : " without progress")"
    case .hung(let after): "hung \(seconds(after))"
    // The jitter is another test's.
    case .backingOff(_, let stalls): "backingOff \(stalls)"
    case .diesInBatch(let batch, let step, let times):
      "diesInBatch \(batch.epoch)/\(batch.batch) step \(step) times \(times)"
    case .gaveUp(let point, let standing):
      "gaveUp at \(point.step) stalls \(standing.stalls) deaths \(standing.deathTally?.count ?? 0)"
    case .stopping(let grace, let isByNotice):
      "stopping in \(seconds(grace))\(isByNotice ? " by notice" : "")"
    case .saveTooLong(let takes, let newest): "saveTooLong \(seconds(takes)) newest \(newest)"
    case .preemptionNoticed(let notice, let lead): "noticed \(notice.source) in \(seconds(lead))"
    case .preemptionWarned(let source, _): "warned \(source)"
    case .preemptionCancelled(let source): "cancelled \(source)"
    case .preemptionSurvived(let step, let spare): "survived with \(step), \(seconds(spare)) spare"
    case .startFailed(let failure): "startFailed \(failure)"
    default:
      "\(self)".replacing("Swift.", with: "").replacing("Supervision.", with: "")
    }
  }
}
