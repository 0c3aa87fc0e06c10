import Supervision

/// Drives the core as the runtime would, and keeps what it asked for.
struct Driver {
  var state: State
  var now = Moment(monotonic: .seconds(1000), wall: .seconds(1_700_000_000))
  var log: [Action] = []

  init(_ policy: Policy = .timed, standing: Standing = Standing(), durableStep: UInt64 = 0) {
    state = State(policy: policy, standing: standing, durableStep: durableStep, now: now)
  }

  @discardableResult
  mutating func send(_ event: Event) -> [Action] {
    let (next, actions) = transition(state, event, at: now)
    state = next
    log += actions
    return actions
  }

  mutating func wait(_ duration: Duration) {
    now.monotonic += duration
    now.wall += duration
  }

  /// From nothing to a trainer that made `step` steps.
  mutating func run(to step: UInt64, from resume: ResumePoint = .beginning) {
    if state.phase == .idle { send(.begin(remains(resume))) }
    send(.started)
    send(.attached())
    if step > 0 { send(.stepped(progress(step))) }
  }

  /// One answered staging request.
  mutating func stage(_ step: UInt64, stall: Duration = .milliseconds(1)) {
    send(.timer(.stage))
    guard let request = state.request else { return }
    send(.answered(sequence: request.sequence, .staged(step: step, stall: stall)))
  }

  /// The trainer ends and its tree is cleared.
  @discardableResult
  mutating func end(_ status: ExitStatus, _ remains: Remains) -> [Action] {
    send(.exited(status))
    return send(.cleared(remains))
  }

  func remains(_ resume: ResumePoint, progress: Progress? = nil) -> Remains {
    Remains(resume: resume, progress: progress, slots: state.slots)
  }
}

func progress(_ step: UInt64, perEpoch: UInt64 = 100) -> Progress {
  Progress(
    step: step, position: BatchPosition(epoch: step / perEpoch, batch: step % perEpoch),
    batchesPerEpoch: perEpoch)
}

extension Action {
  /// Its kind, short enough for a table.
  var word: String {
    switch self {
    case .start: "start"
    case .request(let kind, _, _, _, _): "request(\(kind))"
    case .offer(let slot): slot == nil ? "withdraw" : "offer"
    case .publish: "publish"
    case .mark: "mark"
    case .cancelPublishing: "cancelPublishing"
    case .signal(let signal): "\(signal)"
    case .clear: "clear"
    case .arm(let kind, _): "+\(kind)"
    case .disarm: ""
    case .note(let note): "'\("\(note)".prefix { $0 != "(" })'"
    case .persistStanding: "keep"
    case .acknowledge: "acknowledge"
    case .end(let ending): "leave(\(ending))"
    }
  }
}

extension Policy {
  /// Saves by time only: no ends of epochs.
  static var timed: Policy {
    var policy = Policy()
    policy.checkpoint.epochs = .none
    return policy
  }
}

extension [Action] {
  /// Whether the state of this step is published, for whatever reason.
  func publishes(_ step: UInt64) -> Bool {
    contains { if case .publish(_, step, _) = $0 { true } else { false } }
  }
}
