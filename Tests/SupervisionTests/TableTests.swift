import Supervision
import Testing
import Vocabulary

/// Every phase against every event: the table is the specification, and this test is its only copy.
@Suite struct TableTests {
  static let events: [(String, Event)] = [
    ("begin", .begin(Remains(resume: .beginning, progress: nil, slots: [.empty, .empty]))),
    ("started", .started),
    ("startFailed", .startFailed(.notFound)),
    ("attached", .attached()),
    ("stepped", .stepped(progress(60))),
    ("heartbeat", .heartbeat),
    ("answered", .answered(sequence: 2, .staged(step: 60, stall: .milliseconds(1)))),
    ("missed", .answered(sequence: 2, .missed)),
    ("failed", .answered(sequence: 2, .failed(errno: 28))),
    ("finished", .finished(step: 70, slot: 1)),
    ("published", .published(slot: 0, step: 50, took: .seconds(1))),
    ("publishFailed", .publishFailed(slot: 0, step: 50)),
    ("exited", .exited(.signaled(9))),
    (
      "cleared",
      .cleared(
        Remains(
          resume: .checkpoint(level: .staged, step: 50), progress: progress(60),
          slots: [.complete(step: 50), .empty]))
    ),
    ("stage", .timer(.stage)),
    ("durable", .timer(.durable)),
    ("hang", .timer(.hang)),
    ("saveDeadline", .timer(.saveDeadline)),
    ("kill", .timer(.kill)),
    ("graceEnd", .timer(.graceEnd)),
    ("backoff", .timer(.backoff)),
    ("stopRequested", .stopRequested),
    ("checkpointRequested", .checkpointRequested),
    ("preemption", .timer(.preemption)),
    ("preemptionNotice", .preemptionNotice(preemptionNotice)),
    ("preemptionWarning", .preemptionWarning(source: "AWS", text: "rebalance")),
    ("preemptionCancelled", .preemptionCancelled()),
    ("policyChanged", .policyChanged(Policy())),
  ]

  /// A state in each phase, reached by events as it would be.
  static func state(in phase: Phase) -> Driver {
    var driver = Driver()
    switch phase {
    case .idle: break
    case .starting: driver.send(.begin(driver.remains(.beginning)))
    case .running, .saving, .terminating, .clearing:
      driver.run(to: 50)
      driver.stage(50)
      driver.send(.stepped(progress(60)))
      if phase == .saving || phase == .terminating { driver.send(.stopRequested) }
      if phase == .terminating { driver.send(.timer(.saveDeadline)) }
      if phase == .clearing { driver.send(.exited(.signaled(9))) }
    case .backingOff:
      driver.run(to: 50)
      driver.stage(50)
      for _ in 0..<3 where driver.state.phase != .backingOff {
        if driver.state.phase == .starting { driver.send(.started) }
        driver.end(.exited(1), driver.remains(.checkpoint(level: .staged, step: 50)))
      }
    case .settling:
      driver.run(to: 50)
      driver.stage(50)
      driver.send(.stopRequested)
      driver.end(.exited(75), driver.remains(.checkpoint(level: .staged, step: 50)))
    case .done:
      driver.send(.stopRequested)
    }
    return driver
  }

  /// The same after a notice, which may come in any phase.
  static let eventsAfterNotice: [(String, Event)] =
    events.filter {
      ["started", "exited", "cleared", "published", "publishFailed", "durable", "graceEnd", "stopRequested"]
        .contains($0.0)
    } + [
      ("preemption", .timer(.preemption)),
      ("again", .preemptionNotice(preemptionNotice)),
      ("earlier", .preemptionNotice(earlierNotice)),
      ("cancelled", .preemptionCancelled()),
    ]

  @Test(arguments: Phase.allCases) func everyCellAfterANotice(phase: Phase) throws {
    let expected = try #require(expectedTableAfterNotice[phase])
    #expect(expected.count == Self.eventsAfterNotice.count)
    for (name, event) in Self.eventsAfterNotice {
      var driver = Self.state(in: phase)
      driver.send(.preemptionNotice(preemptionNotice))
      driver.wait(.seconds(1000))
      let words = driver.send(event).map(\.word).filter { !$0.isEmpty }
      let got = "\(driver.state.phase): \(words.joined(separator: " "))"
      #expect(expected[name] == got, "\(phase) × \(name)")
    }
  }

  @Test(arguments: Phase.allCases) func fixtureIsInItsPhase(phase: Phase) {
    #expect(Self.state(in: phase).state.phase == phase)
  }

  @Test(arguments: Phase.allCases) func everyCell(phase: Phase) throws {
    let expected = try #require(expectedTable[phase])
    #expect(expected.count == Self.events.count)
    for (name, event) in Self.events {
      var driver = Self.state(in: phase)
      let words = driver.send(event).map(\.word).filter { !$0.isEmpty }
      let got = "\(driver.state.phase): \(words.joined(separator: " "))"
      #expect(expected[name] == got, "\(phase) × \(name)")
    }
  }
}

/// Half an hour, so that the moment to leave has not come when the notice does.
let preemptionNotice = PreemptionNotice(
  source: "Azure", event: "1", action: "Reboot", deadline: .seconds(1_700_001_800),
  longestLead: .seconds(3600), wantsAcknowledgement: true)

/// A second one, with no time to spare.
let earlierNotice = PreemptionNotice(
  source: "Azure", event: "2", action: "Preempt", deadline: .seconds(1_700_001_003),
  longestLead: .seconds(30), wantsAcknowledgement: true)
