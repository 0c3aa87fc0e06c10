import Supervision
import Vocabulary

/// States that a supervisor can be in, several for each phase, each reached by events as it would be.
enum Situations {
  static let all: [(name: String, make: @Sendable () -> Driver)] = [
    ("idle", { Driver() }),
    ("idle, preemption ahead", { noticed(Driver()) }),
    ("starting", { begun() }),
    ("starting, stop requested", { asked(begun()) }),
    ("starting, preemption ahead", { noticed(begun()) }),
    ("starting again, 50 staged", { again() }),
    ("running, a program without the protocol", { started() }),
    ("running, attached, no step yet", { ran(to: 0) }),
    ("running, nothing staged", { ran(to: 60) }),
    ("running, first save requested", { sent(ran(to: 60), .timer(.stage)) }),
    ("running, 50 staged", { staged() }),
    ("running, save requested", { sent(staged(), .timer(.stage)) }),
    ("running, 50 is published", { sent(staged(), .timer(.durable)) }),
    ("running, 50 is published, save requested", { publishingAndSaving() }),
    ("running, no slot is free", { crowded() }),
    ("running, staging fails", { failing() }),
    ("running, step 100 requested", { ahead { $0.everySteps = 100 } }),
    ("running, step 64 requested, no time left", { ahead { $0.everySteps = 64 } }),
    ("running, end of the epoch requested", { ahead { $0.epochs = .every(1) } }),
    ("running, nothing is made durable", { staged { $0.isDurable = false } }),
    ("running, finish reported", { sent(staged(), .finished(step: 60, slot: 1)) }),
    ("running, preemption ahead", { noticed(staged()) }),
    ("running, no heartbeat", { overdue() }),
    ("running, no heartbeat, offers stacks", { overdue(offersStacks: true) }),
    ("saving, preemption ahead", { due(noticed(staged())) }),
    ("saving", { asked(staged()) }),
    ("saving, no slot is free", { asked(crowded()) }),
    ("terminating, saved, is published", { leaving() }),
    ("terminating, saved, 50 is published", { leaving(asked(sent(staged(), .timer(.durable)))) }),
    ("terminating, save timed out", { sent(asked(staged()), .timer(.saveDeadline)) }),
    ("terminating, nothing was staged", { sent(asked(ran(to: 60)), .timer(.saveDeadline)) }),
    ("terminating, finish reported", { asked(sent(staged(), .finished(step: 60, slot: 1))) }),
    ("terminating, not attached", { asked(started()) }),
    ("terminating, hung", { hung() }),
    ("terminating, hung, stacks requested", { hung(offersStacks: true) }),
    ("terminating, hung, stacks and stop requested", { asked(hung(offersStacks: true)) }),
    ("clearing, killed", { sent(staged(), .exited(.signaled(9))) }),
    ("clearing, finished", { sent(staged(), .finished(step: 60, slot: 1), .exited(.exited(0))) }),
    ("clearing, exit 0 of a program that did not attach", { sent(started(), .exited(.exited(0))) }),
    ("clearing, interrupted", { sent(staged(), .exited(.signaled(2))) }),
    ("clearing, interrupted and stop requested", { asked(sent(staged(), .exited(.signaled(2)))) }),
    ("clearing, interrupted, preemption cancelled", { interruptedWhileLeaving() }),
    ("clearing, interrupt reported by a shell", { sent(started(), .exited(.exited(130))) }),
    ("clearing, hung", { sent(hung(), .exited(.signaled(9))) }),
    ("clearing, saved and left", { sent(leaving(), .exited(.exited(75))) }),
    ("clearing, killed, preemption ahead", { noticed(sent(staged(), .exited(.signaled(9)))) }),
    ("clearing, preemption ahead", { sent(due(noticed(staged())), .exited(.exited(75))) }),
    ("backing off, 50 staged", { sent(backingOff(), .publishFailed(slot: 0, step: 50)) }),
    ("backing off, preemption ahead", { noticed(backingOff()) }),
    ("backing off, 50 is published", { backingOff() }),
    ("settling, preemption ahead", { settling(.exited(75), due(noticed(staged()))) }),
    ("settling, stopped", { settling(.exited(75), asked(staged())) }),
    ("settling, interrupted", { interrupted() }),
    ("settling, interrupted, stop requested", { asked(interrupted()) }),
    ("settling, finished", { finished() }),
    ("settling, finished, stop requested", { asked(finished()) }),
    ("settling, gave up", { gaveUp() }),
    ("done", { asked(Driver()) }),
  ]

  /// What can happen in it. Answers are to what is under way there, unless they say otherwise.
  static let events: [(name: String, make: @Sendable (State) -> Event)] = [
    ("begin", { _ in .begin(remains(.beginning)) }),
    ("begin with 50 staged", { _ in .begin(remains(at50, .complete(step: 50))) }),
    ("started", { _ in .started }),
    ("startFailed notFound", { _ in .startFailed(.notFound) }),
    ("startFailed notExecutable", { _ in .startFailed(.notExecutable) }),
    ("startFailed noRoom", { _ in .startFailed(.noRoom) }),
    ("startFailed EMFILE", { _ in .startFailed(.other(errno: 24)) }),
    ("attached", { _ in .attached() }),
    ("stepped to 61", { _ in .stepped(progress(61)) }),
    ("heartbeat", { _ in .heartbeat }),
    ("staged 61", { .answered(sequence: $0.lastSequence, .staged(step: 61, stall: .milliseconds(80))) }),
    (
      "staged, another request", { .answered(sequence: $0.lastSequence + 7, .staged(step: 61, stall: .zero)) }
    ),
    ("missed", { .answered(sequence: $0.lastSequence, .missed()) }),
    ("staging failed", { .answered(sequence: $0.lastSequence, .failed(errno: 28)) }),
    ("finished 61 in the offered slot", { .finished(step: 61, slot: $0.offered) }),
    ("finished 61 in no slot", { _ in .finished(step: 61, slot: nil) }),
    ("finished 61 in an invalid slot", { _ in .finished(step: 61, slot: 99) }),
    ("published", { publication($0) { .published(slot: $0, step: $1, took: .seconds(4)) } }),
    ("published, another", { _ in .published(slot: 0, step: 7, took: .seconds(4)) }),
    ("publishing failed", { publication($0) { .publishFailed(slot: $0, step: $1) } }),
    ("exit 0", { _ in .exited(.exited(0)) }),
    ("exit 75", { _ in .exited(.exited(75)) }),
    ("SIGKILL", { _ in .exited(.signaled(9)) }),
    ("SIGKILL, out of memory", { _ in .exited(.signaled(9), outOfMemory: true) }),
    ("SIGKILL while restoring", { _ in .exited(.signaled(9), restoring: true) }),
    ("resume point damaged", { .resumePointDamaged(replacement($0.resume)) }),
    ("resume point chosen", { _ in .resumePointChosen(at(7)) }),
    ("another resume point damaged", { _ in .resumePointDamaged(replacement(at(7))) }),
    ("loaded a damaged resume point", { _ in .loadedDamagedPoint }),
    ("staged before the first step", { _ in .stagedInitially(slot: 0, .staged(step: 0, stall: .zero)) }),
    ("initial staging failed", { _ in .stagedInitially(slot: 0, .failed(errno: 28)) }),
    ("staged before the first step, invalid slot", { _ in .stagedInitially(slot: 9, .missed()) }),
    (
      "publishing failed, image damaged",
      { publication($0) { .publishFailed(slot: $0, step: $1, isDamaged: true) } }
    ),
    ("adopted", { _ in .adopted(number: 3) }),
    ("cleared, nothing left", { _ in .cleared(remains(.beginning)) }),
    ("cleared, 50 staged", { _ in .cleared(remains(at50, .complete(step: 50), died: 60)) }),
    ("cleared, 60 staged", { _ in .cleared(remains(at60, .complete(step: 60))) }),
    ("stage", { _ in .timer(.stage) }),
    ("durable", { _ in .timer(.durable) }),
    ("hang", { _ in .timer(.hang) }),
    ("saveDeadline", { _ in .timer(.saveDeadline) }),
    ("kill", { _ in .timer(.kill) }),
    ("graceEnd", { _ in .timer(.graceEnd) }),
    ("backoff", { _ in .timer(.backoff) }),
    ("preemption", { _ in .timer(.preemption) }),
    ("stop", { _ in .stopRequested }),
    ("checkpoint", { _ in .checkpointRequested }),
    ("notice", { _ in .preemptionNotice(notice) }),
    ("second notice, no time left", { _ in .preemptionNotice(hastyNotice) }),
    ("warning", { _ in .preemptionWarning(source: "cloud", text: "perhaps") }),
    ("notice cancelled", { _ in .preemptionCancelled() }),
    ("policy", { .policyChanged(hastened($0.policy)) }),
  ]

  // MARK: How they are reached

  private static func at(_ step: UInt64) -> ResumePoint { .checkpoint(level: .staged, step: step) }

  /// Of the durable checkpoint of step 40, and nothing is left in the arena.
  private static func replacement(_ damaged: ResumePoint) -> Replacement {
    Replacement(
      damaged: damaged, next: .checkpoint(level: .durable, step: 40), slots: [.empty, .empty], durableStep: 40
    )
  }

  static let at50 = ResumePoint.checkpoint(level: .staged, step: 50)
  static let at60 = ResumePoint.checkpoint(level: .staged, step: 60)

  static let notice = PreemptionNotice(
    source: "cloud", action: "terminate", longestLead: .seconds(120), wantsAcknowledgement: true)

  /// A second one, with no time to spare.
  static let hastyNotice = PreemptionNotice(
    source: "cloud", event: "2", action: "preempt", longestLead: .seconds(5), wantsAcknowledgement: true)

  /// Every time shorter.
  static func hastened(_ policy: Policy) -> Policy {
    var policy = policy
    policy.durableInterval = .seconds(60)
    policy.stageInterval = .fixed(.seconds(2))
    policy.grace = .seconds(5)
    policy.stepTimeout = .fixed(.seconds(1))
    return policy
  }

  private static func noticed(_ driver: Driver) -> Driver { sent(driver, .preemptionNotice(notice)) }

  /// Ten seconds before the machine goes.
  private static func due(_ driver: Driver) -> Driver {
    var driver = driver
    driver.wait(.seconds(110))
    return sent(driver, .timer(.preemption))
  }

  private static func remains(
    _ resume: ResumePoint, _ slot: SlotContent = .empty, died: UInt64? = nil
  ) -> Remains {
    Remains(resume: resume, progress: died.map { progress($0) }, slots: [slot, .empty])
  }

  private static func publication(_ state: State, _ event: (Int, UInt64) -> Event) -> Event {
    event(state.publication?.slot ?? 0, state.publication?.step ?? 50)
  }

  private static func sent(_ driver: Driver, _ events: Event...) -> Driver {
    var driver = driver
    for event in events { driver.send(event) }
    return driver
  }

  private static func asked(_ driver: Driver) -> Driver { sent(driver, .stopRequested) }

  private static func begun(_ change: (inout Policy) -> Void = { _ in }) -> Driver {
    var policy = Policy.timed
    policy.stepTimeout = .fixed(.seconds(3))
    change(&policy)
    return sent(Driver(policy), .begin(remains(.beginning)))
  }

  private static func started(_ change: (inout Policy) -> Void = { _ in }) -> Driver {
    sent(begun(change), .started)
  }

  private static func ran(to step: UInt64, _ change: (inout Policy) -> Void = { _ in }) -> Driver {
    let driver = sent(started(change), .attached())
    return step > 0 ? sent(driver, .stepped(progress(step))) : driver
  }

  /// 50 is staged in slot 0, and 10 more steps are made.
  private static func staged(_ change: (inout Policy) -> Void = { _ in }) -> Driver {
    var driver = ran(to: 50, change)
    driver.stage(50)
    return sent(driver, .stepped(progress(60)))
  }

  /// 50 is staged, the trainer makes 10 steps a second, and the policy asks for a state ahead of it.
  private static func ahead(_ change: (inout CheckpointPolicy) -> Void) -> Driver {
    var policy = CheckpointPolicy.initial
    policy.epochs = .none
    change(&policy)
    var driver = ran(to: 40) { $0.checkpoint = policy }
    driver.wait(.seconds(1))
    driver.send(.stepped(progress(50)))
    driver.send(.timer(.stage))
    if let request = driver.state.request, request.target == nil {
      driver.send(.answered(sequence: request.sequence, .staged(step: 50, stall: .milliseconds(1))))
    }
    driver.wait(.seconds(1))
    return sent(driver, .stepped(progress(60)))
  }

  private static func again() -> Driver {
    sent(
      staged(), .exited(.signaled(9)), .cleared(remains(at50, .complete(step: 50), died: 60)),
      .publishFailed(slot: 0, step: 50))
  }

  private static func publishingAndSaving() -> Driver {
    sent(staged(), .timer(.durable), .timer(.stage))
  }

  /// 50 is published from slot 0, 60 is staged in slot 1, and another save is due.
  private static func crowded() -> Driver {
    var driver = sent(staged(), .timer(.durable))
    driver.stage(60)
    return sent(driver, .stepped(progress(61)), .timer(.stage))
  }

  private static func failing() -> Driver {
    let driver = sent(staged(), .timer(.stage))
    return sent(driver, .answered(sequence: driver.state.lastSequence, .failed(errno: 28)))
  }

  private static func leaving(_ driver: Driver = asked(staged())) -> Driver {
    sent(
      driver, .answered(sequence: driver.state.lastSequence, .staged(step: 60, stall: .milliseconds(5))))
  }

  /// Its last step is longer ago than the limit.
  private static func overdue(offersStacks: Bool = false) -> Driver {
    var driver = sent(staged(), .attached(offersStacks: offersStacks))
    driver.wait(.seconds(4))
    return driver
  }

  private static func hung(offersStacks: Bool = false) -> Driver {
    sent(overdue(offersStacks: offersStacks), .timer(.hang))
  }

  private static func backingOff() -> Driver {
    var driver = again()
    for _ in 0..<2 {
      driver.send(.started)
      driver.end(.exited(1), remains(at50, .complete(step: 50)))
    }
    return driver
  }

  private static func settling(_ status: ExitStatus, _ driver: Driver) -> Driver {
    var driver = driver
    driver.end(status, driver.remains(at60))
    return driver
  }

  private static func interruptedWhileLeaving() -> Driver {
    sent(due(noticed(staged())), .exited(.signaled(2)), .preemptionCancelled())
  }

  private static func interrupted() -> Driver { settling(.signaled(2), staged()) }

  private static func finished() -> Driver {
    settling(.exited(0), sent(staged(), .finished(step: 60, slot: 1)))
  }

  private static func gaveUp() -> Driver {
    var driver = backingOff()
    while driver.state.phase == .backingOff {
      driver.send(.timer(.backoff))
      driver.send(.started)
      driver.end(.exited(1), remains(at50, .complete(step: 50)))
    }
    return driver
  }
}
