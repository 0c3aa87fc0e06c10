import Supervision
import TestSupport
import Vocabulary

/// The world around the core, as far as the core can see it: a trainer, timers that fire when they
/// are armed, a publisher, and users. It believes nothing that the core says of itself: what is open,
/// staged or alive it keeps for itself from the actions alone.
struct Walk {
  private(set) var complaints: [String] = []
  /// The events that led to the failure, for the report.
  var trail: String {
    last.map { "\($0.at) \($0.state.text) ← \($0.event)" }.joined(separator: "\n") + "\n"
      + complaints.joined(separator: "\n")
  }

  private var last: [(at: Duration, state: State, event: Event)] = []
  private(set) var visited: Set<Phase> = []
  private(set) var starts = 0
  private(set) var publications = 0
  private(set) var stops = 0

  private var random: Generator
  private var driver: Driver
  private var world = World()

  private struct Request {
    var sequence: UInt64
    var slot: Int
    var kind: RequestKind
    /// It waits for a moment ahead.
    var isForLater: Bool
    var requestedAt: Duration
  }

  private struct Image: Equatable {
    var slot: Int
    var step: UInt64
  }

  private struct World {
    var armed: [TimerKind: Duration] = [:]
    /// An attempt was started, and its tree was not reported as gone.
    var isUncleared = false
    var clearIsAsked = false
    var attached = false
    var finished = false
    var killed = false
    /// Somebody stopped the trainer itself.
    var interrupted = false
    var step: UInt64 = 0
    var attempt: UInt64?
    var request: Request?
    var offered: Int?
    var publishing: Image?
    var slots: [SlotContent] = [.empty, .empty]
    var stopAt: Duration?

    var newestStaged: UInt64? {
      var newest: UInt64?
      for case .complete(let step) in slots { newest = max(step, newest ?? 0) }
      return newest
    }
  }

  init(seed: UInt64) {
    random = Generator(seed: seed)
    driver = Driver(Policy.random(&random))
  }

  /// One event: a timer whose time has come before anything else could happen, or anything else.
  mutating func step() {
    if driver.state.phase == .done { return restart() }
    let pause = Duration.milliseconds(random.below(random.below(8) == 0 ? 20_000 : 400))
    let due = world.armed.min { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }
    if let due, due.value <= driver.now.monotonic + pause {
      driver.wait(max(.zero, due.value - driver.now.monotonic))
      world.armed[due.key] = nil
      return happen(.timer(due.key))
    }
    driver.wait(pause)
    happen(anything())
  }

  /// The next supervisor, with what outlives the one before.
  private mutating func restart() {
    var next = Driver(
      Policy.random(&random), standing: driver.state.standing, durableStep: driver.state.durableStep)
    (next.now, next.state.weightsStep) = (driver.now, driver.state.weightsStep)
    let attempt = world.attempt
    driver = next
    world = World()
    world.attempt = attempt
    world.slots = driver.state.slots
    happen(.begin(remains()))
  }

  // MARK: What happens

  private mutating func anything() -> Event {
    let state = driver.state
    // What must come does come, sooner or later.
    if random.below(3) == 0 {
      if world.clearIsAsked { return .cleared(remains()) }
      if state.phase == .starting { return started() }
      if state.phase == .settling || world.publishing != nil && random.below(2) == 0 { return published() }
      if world.killed, state.phase == .terminating { return .exited(.signaled(9)) }
    }
    switch random.below(20) {
    case 0...5 where world.isUncleared && world.attached && !world.clearIsAsked:
      world.step += UInt64(random.below(20) + 1)
      return .stepped(progress(world.step))
    case 6...8 where world.request != nil && world.isUncleared: return answer()
    case 9 where world.isUncleared && !world.clearIsAsked && state.phase != .starting:
      return .attached(offersStacks: random.below(2) == 0)
    case 10 where state.phase != .starting && world.isUncleared:
      return .exited(status(), restoring: random.below(3) == 0)
    case 18 where world.isUncleared && !world.clearIsAsked && state.attempt?.progress == nil:
      if let slot = state.initialSlot, state.phase != .starting, world.attached {
        return .stagedInitially(slot: slot, .staged(step: 0, stall: .milliseconds(3)))
      }
      return random.below(8) == 0 ? .loadedDamagedPoint : damaged()
    case 11: return published()
    case 12: return .checkpointRequested
    case 13 where random.below(4) == 0: return .stopRequested
    case 14: return .heartbeat
    case 16 where random.below(4) == 0: return notice()
    case 17 where random.below(4) == 0: return changedPolicy()
    case 15 where world.attached && random.below(8) == 0:
      return .finished(step: world.step, slot: finalSlot())
    default: return nonsense()
    }
  }

  /// What it starts from is damaged: that slot is empty, and it starts from what else there is.
  private mutating func damaged() -> Event {
    let resume = driver.state.resume
    guard case .checkpoint(.staged, let step) = resume else { return .heartbeat }
    var slots = world.slots
    for index in slots.indices where slots[index] == .complete(step: step) && world.publishing?.slot != index
    {
      slots[index] = .empty
    }
    let durable = driver.state.durableStep
    return .resumePointDamaged(
      Replacement(
        damaged: resume, next: durable > 0 ? .checkpoint(level: .durable, step: durable) : .beginning,
        slots: slots, durableStep: durable))
  }

  private mutating func started() -> Event {
    guard random.below(8) == 0 else { return .started }
    return .startFailed([.notFound, .notExecutable, .noRoom, .other(errno: 5)][random.below(4)])
  }

  private mutating func status() -> ExitStatus {
    let statuses: [ExitStatus] = [
      .exited(0), .exited(1), .exited(75), .exited(130), .signaled(2), .signaled(9), .signaled(11),
      .signaled(15),
    ]
    return statuses[random.below(statuses.count)]
  }

  private mutating func notice() -> Event {
    switch random.below(4) {
    case 0: return .preemptionCancelled()
    case 1: return .preemptionWarning(source: "cloud", text: "perhaps")
    default:
      let wall = driver.now.wall + .seconds(random.below(200) - 20)
      return .preemptionNotice(
        PreemptionNotice(
          source: "cloud", action: "terminate", deadline: random.below(2) == 0 ? nil : wall,
          longestLead: .seconds(random.below(120)), wantsAcknowledgement: random.below(2) == 0))
    }
  }

  private mutating func changedPolicy() -> Event {
    var policy = Policy.random(&random)
    policy.slotCount = driver.state.policy.slotCount
    return .policyChanged(policy)
  }

  private mutating func finalSlot() -> Int? { random.below(3) == 0 ? nil : world.offered }

  private mutating func answer() -> Event {
    guard let request = world.request else { return .heartbeat }
    let outcomes: [StageOutcome] = [
      .missed(step: world.step), .failed(errno: 28),
      .staged(
        step: world.step, stall: .milliseconds(random.below(900)),
        completedEpochs: random.below(2) == 0 ? 0 : UInt64(random.below(9))),
    ]
    return .answered(sequence: request.sequence, outcomes[min(2, random.below(6))])
  }

  private mutating func published() -> Event {
    guard let open = world.publishing else { return .publishFailed(slot: 0, step: 1) }
    if random.below(5) == 0 { return .publishFailed(slot: open.slot, step: open.step) }
    return .published(slot: open.slot, step: open.step, took: .milliseconds(random.below(9000)))
  }

  /// Events without a meaning now: late, for another attempt, or absurd.
  private mutating func nonsense() -> Event {
    let far = UInt64.max - UInt64(random.below(3))
    switch random.below(10) {
    case 0: return .timer(TimerKind.allCases[random.below(TimerKind.allCases.count)])
    case 1: return .answered(sequence: far, .staged(step: far, stall: .seconds(1)))
    case 2: return .published(slot: 7, step: far, took: .seconds(1))
    case 3: return .publishFailed(slot: -1, step: far)
    case 4: return .begin(remains())
    case 5 where world.attached: return .finished(step: world.step, slot: 99)
    case 6 where driver.state.phase != .starting: return .startFailed(.noRoom)
    case 7 where driver.state.phase != .clearing: return .cleared(remains())
    case 8 where driver.state.phase != .starting: return .started
    default: return .heartbeat
    }
  }

  private mutating func remains() -> Remains {
    let staged = world.newestStaged ?? 0
    let newest = max(staged, driver.state.durableStep)
    let resume: ResumePoint =
      newest == 0 ? .beginning : .checkpoint(level: newest == staged ? .staged : .durable, step: newest)
    // Sometimes further than any number has a right to be.
    let isAbsurd = random.below(50) == 0
    let position = BatchPosition(epoch: isAbsurd ? .max : 3, batch: isAbsurd ? .max : world.step % 100)
    let died = Progress(step: isAbsurd ? .max : world.step, position: position, batchesPerEpoch: 100)
    return Remains(resume: resume, progress: world.step > 0 ? died : nil, slots: world.slots)
  }

  // MARK: What comes of it

  private mutating func happen(_ event: Event) {
    last.append((driver.now.monotonic, driver.state, event))
    if last.count > 40 { last.removeFirst() }
    visited.insert(driver.state.phase)
    take(event)
    let asked = event == .stopRequested && driver.state.phase != .done
    if asked, world.stopAt == nil {
      stops += 1
      world.stopAt = driver.now.monotonic + driver.state.policy.grace
    }
    for action in driver.send(event) { take(action) }
    visited.insert(driver.state.phase)
    check()
  }

  private mutating func take(_ event: Event) {
    switch event {
    case .attached: world.attached = true
    case .answered(let sequence, let outcome):
      guard let request = world.request, request.sequence == sequence else { return }
      if case .staged(let step, _, _) = outcome { world.slots[request.slot] = .complete(step: step) }
      world.request = nil
    case .finished(let step, let slot):
      guard world.isUncleared else { return }
      if let slot, world.slots.indices.contains(slot) { world.slots[slot] = .complete(step: step) }
      world.request = nil
      world.finished = true
    case .published(let slot, let step, _), .publishFailed(let slot, let step, _):
      if world.publishing == Image(slot: slot, step: step) { world.publishing = nil }
    case .exited(let status, _, _):
      // What comes of a hang is known, whatever ends it.
      let isHung = driver.state.attempt?.hung ?? false
      if world.isUncleared, !world.clearIsAsked, driver.state.phase != .starting, !isHung {
        world.interrupted = [.signaled(2), .exited(130)].contains(status)
      }
    case .cleared: if world.clearIsAsked { endOfAttempt() }
    case .startFailed: if driver.state.phase == .starting { endOfAttempt() }
    case .stepped: if world.isUncleared { world.finished = false }  // More steps take an end back.
    case .begin, .started, .adopted, .heartbeat, .timer, .stopRequested, .checkpointRequested,
      .preemptionNotice, .preemptionWarning, .preemptionCancelled, .policyChanged, .loadedDamagedPoint,
      .resumePointChosen:
      break
    case .stagedInitially(let slot, let outcome):
      if case .staged(let step, _, _) = outcome, world.isUncleared {
        world.slots[slot] = .complete(step: step)
      }
    case .resumePointDamaged(let replacement):
      if driver.state.resume == replacement.damaged { world.slots = replacement.slots }
    }
  }

  private var askedAgain: Bool {
    world.request.map { driver.now.monotonic - $0.requestedAt >= .seconds(60) } ?? false
  }

  private mutating func endOfAttempt() {
    world.isUncleared = false
    world.clearIsAsked = false
    world.request = nil
    world.offered = nil
    world.finished = false
  }

  private mutating func take(_ action: Action) {
    switch action {
    case .start(let attempt, let from, _, let request):
      starts += 1
      claim(!world.isUncleared, "attempt \(attempt) starts beside another")
      claim(attempt > world.attempt ?? 0, "attempt \(attempt) comes after \(world.attempt ?? 0)")
      claim(world.stopAt == nil, "an attempt starts after a stop was asked for")
      claim(!world.interrupted, "an attempt starts after an interrupt")
      world.isUncleared = true
      world.attached = false
      world.killed = false
      world.attempt = attempt
      world.step = from.step
      if let request { ask(request.sequence, request.slot, .save, isForLater: true) }
    case .request(.cancel, _, _, _, _): world.request = nil
    case .request(let kind, let sequence, let slot, let target, _):
      ask(sequence, slot, kind, isForLater: target != nil)
    case .offer(let slot):
      if let slot { claim(!isInUse(slot), "slot \(slot) is offered and in use") }
      world.offered = slot
    case .publish(let slot, let step, let reasons):
      claim(driver.state.policy.isDurable || reasons.contains(.request), "durable without a request")
      publications += 1
      claim(world.publishing == nil, "two publications")
      claim(world.slots[slot] == .complete(step: step), "slot \(slot) does not hold step \(step)")
      world.publishing = Image(slot: slot, step: step)
    case .clear: world.clearIsAsked = true
    case .signal(.kill): world.killed = true
    case .arm(let kind, let at): world.armed[kind] = at
    case .disarm(let kind): world.armed[kind] = nil
    case .mark(let step, let reasons):
      claim(step > 0 && !reasons.isEmpty, "a mark of step \(step) for \(reasons)")
    case .cancelPublishing, .signal(.terminate), .signal(.stacks), .note, .persistStanding, .acknowledge,
      .end:
      break
    }
  }

  private mutating func ask(_ sequence: UInt64, _ slot: Int, _ kind: RequestKind, isForLater: Bool) {
    claim(!isInUse(slot), "request \(sequence) names slot \(slot), which is in use")
    claim(!world.finished, "a request after finish()")
    claim(
      world.request == nil || world.request?.isForLater == true && !isForLater
        || world.request?.kind == .save && kind == .saveAndLeave
        || world.request?.kind == kind && world.request?.slot == slot && askedAgain,
      "request \(sequence) while another is open")
    world.slots[slot] = .empty
    // Asked once more only after a while, counted from the first time.
    let isRepeated = world.request?.kind == kind && world.request?.isForLater == false
    let requestedAt = isRepeated ? world.request?.requestedAt : nil
    world.request = Request(
      sequence: sequence, slot: slot, kind: kind, isForLater: isForLater,
      requestedAt: requestedAt ?? driver.now.monotonic)
  }

  /// It is published from, or nothing else holds the newest state.
  private func isInUse(_ slot: Int) -> Bool {
    if world.publishing?.slot == slot { return true }
    guard let newest = world.newestStaged else { return false }
    return world.slots.indices.filter { world.slots[$0] == .complete(step: newest) } == [slot]
  }

  private mutating func check() {
    let state = driver.state
    let hasAttempt = [.starting, .running, .saving, .terminating, .clearing].contains(state.phase)
    claim((state.attempt != nil) == hasAttempt, "attempt is \(state.attempt == nil ? "not " : "")set")
    claim(hasAttempt ? world.isUncleared : true, "\(state.phase) without a trainer")
    claim(state.request == nil || state.publication?.slot != state.request?.slot, "one slot for two")
    claim(
      state.publication.map { Image(slot: $0.slot, step: $0.step) } == world.publishing,
      "another publication than the one that was asked for")
    if state.phase == .done { return }
    if let stopAt = world.stopAt {
      claim(driver.now.monotonic < stopAt, "a stop that does not end within its grace time")
    }
    // By a signal or by a notice.
    if state.stop != nil { claim(world.armed[.graceEnd] != nil, "a stop without an end") }
    switch state.phase {
    case .idle, .starting, .clearing, .done: break
    case .backingOff: claim(world.armed[.backoff] != nil, "backing off for ever")
    case .saving: claim(world.armed[.saveDeadline] != nil, "waiting for ever for a save")
    case .terminating: claim(world.killed || world.armed[.kill] != nil, "waiting for ever for an exit")
    case .settling: claim(state.publication != nil, "waiting for a publication that is not under way")
    case .running: checkRunning(state)
    }
  }

  private mutating func checkRunning(_ state: State) {
    if case .fixed = state.policy.stepTimeout, !world.finished, state.attempt?.attached == true {
      claim(world.armed[.hang] != nil, "nobody looks for a hang")
    }
    guard let attempt = state.attempt, attempt.attached, attempt.progress != nil, !world.finished else {
      return
    }
    // The last publication before the machine goes is that of the stop.
    claim(
      world.armed[.durable] != nil || state.preemption != nil || state.publication != nil
        || state.publishNext || !state.policy.isDurable,
      "no durable checkpoint will ever be due")
    claim(
      world.armed[.stage] != nil || world.request?.isForLater == false || state.stageIsWaiting,
      "no staged checkpoint will ever be due")
  }

  private mutating func claim(_ holds: Bool, _ what: String) { if !holds { complaints.append(what) } }
}
