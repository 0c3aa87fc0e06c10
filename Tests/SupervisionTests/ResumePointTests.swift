import Supervision
import Testing
import Vocabulary

/// What attempts start from, and what happens to unanswered requests.
@Suite struct ResumePointTests {
  @Test func resumePointIsSkippedAfterTwoDeaths() {
    let staged = ResumePoint.checkpoint(level: .staged, step: 20)
    let durable = ResumePoint.checkpoint(level: .durable, step: 10)
    let candidates = [ResumeCandidate(durable, .unread), ResumeCandidate(staged, .unread)]
    func chosen(_ driver: Driver) -> ResumePoint {
      let deaths = driver.state.standing.restoreDeaths ?? []
      return ResumeChoice.best(of: candidates, deaths: deaths).map { candidates[$0].point } ?? .beginning
    }
    var driver = Driver()
    driver.send(.begin(driver.remains(staged)))
    for times in 1...2 {
      driver.send(.started)
      driver.send(.attached())
      #expect(chosen(driver) == staged)
      let actions = driver.send(.exited(.signaled(9), restoring: true))
      #expect(actions.contains(.note(.diedRestoring(staged, times: times))))
      driver.send(.cleared(driver.remains(chosen(driver))))
    }
    #expect(driver.state.resume == durable)
    driver.send(.timer(.backoff))
    // Deaths after loading, and stops, are not counted.
    driver.send(.started)
    driver.send(.attached())
    driver.send(.exited(.signaled(9)))
    driver.send(.cleared(driver.remains(chosen(driver))))
    #expect(driver.state.standing.restoreDeaths == [RestoreDeaths(level: .staged, step: 20, count: 2)])
    // Once the run is further, it does not matter any more.
    driver.send(.timer(.backoff))
    driver.send(.started)
    driver.end(.exited(1), driver.remains(.checkpoint(level: .staged, step: 25), progress: progress(26)))
    #expect(driver.state.standing.restoreDeaths == nil)
  }

  @Test func furthestUndamagedPointIsChosen() {
    func point(_ level: Level, _ step: UInt64) -> ResumePoint { .checkpoint(level: level, step: step) }
    func best(_ candidates: [ResumeCandidate], _ deaths: [RestoreDeaths] = []) -> ResumePoint {
      ResumeChoice.best(of: candidates, deaths: deaths).map { candidates[$0].point } ?? .beginning
    }
    #expect(best([]) == .beginning)
    let all = [
      ResumeCandidate(point(.snapshot, 20), .unread), ResumeCandidate(point(.staged, 20), .unread),
      ResumeCandidate(point(.durable, 20), .whole), ResumeCandidate(point(.durable, 10), .whole),
      ResumeCandidate(point(.staged, .max), .damaged),
    ]
    #expect(best(all) == point(.staged, 20), "of one step the nearest")
    let deaths = [RestoreDeaths(level: .staged, step: 20, count: 2)]
    #expect(best(all, deaths) == point(.durable, 20))
    #expect(best(all, [RestoreDeaths(level: .staged, step: 20, count: 1)]) == point(.staged, 20))
    // A program that cannot load its state must not begin anew.
    #expect(best([all[1]], deaths) == point(.staged, 20))
    #expect(best([ResumeCandidate(point(.staged, 20), .damaged)], deaths) == .beginning)
    #expect(best([ResumeCandidate(point(.staged, 0), .whole)]) == point(.staged, 0))
  }

  @Test func damagedResumePointUsesNoBudget() {
    let staged = ResumePoint.checkpoint(level: .staged, step: 20)
    let durable = ResumePoint.checkpoint(level: .durable, step: 10)
    var driver = Driver(durableStep: 30)
    driver.state.slots = [.complete(step: 20), .empty]
    driver.send(.begin(driver.remains(staged)))
    driver.send(.started)
    driver.send(.attached())
    driver.send(
      .resumePointDamaged(
        Replacement(damaged: staged, next: durable, slots: [.empty, .empty], durableStep: 10)))
    #expect(driver.state.attempt?.from == durable && driver.state.resume == durable)
    #expect(driver.state.newestStaged == nil && driver.state.durableStep == 10)
    // One that took it all the same is ended, and another begins at once.
    #expect(driver.send(.loadedDamagedPoint) == [.signal(.kill)])
    #expect(driver.send(.loadedDamagedPoint).isEmpty)
    let actions = driver.end(.signaled(9), driver.remains(durable))
    #expect(actions.contains(.start(attempt: 2, from: durable, skips: [])))
    #expect(driver.state.standing.stalls == 0)
  }

  /// The checkpoint of an epoch's end was still being written when the attempt failed.
  @Test(arguments: [true, false]) func failureDuringAPublicationIsPublishedNext(isWritten: Bool) {
    var driver = Driver()
    driver.run(to: 10)
    driver.stage(10)
    driver.send(.timer(.durable))
    let slot = driver.state.publication?.slot ?? -1
    driver.send(.stepped(progress(20)))
    driver.stage(20)
    let ended = driver.end(.signaled(9), driver.remains(.checkpoint(level: .staged, step: 20)))
    #expect(!ended.publishes(20), "one at a time")
    #expect(driver.state.phase == .starting)
    let next = driver.send(
      isWritten
        ? .published(slot: slot, step: 10, took: .seconds(1)) : .publishFailed(slot: slot, step: 10))
    #expect(next.publishes(20))
  }

  /// Two attempts died of an image whose durable copy is not complete yet.
  @Test(arguments: [true, false]) func attemptWaitsForALaterCheckpoint(isWritten: Bool) throws {
    let staged = ResumePoint.checkpoint(level: .staged, step: 20)
    let older = ResumePoint.checkpoint(level: .staged, step: 10)
    let durable = ResumePoint.checkpoint(level: .durable, step: 20)
    var driver = Driver()
    driver.state.slots = [.complete(step: 20), .complete(step: 10)]
    driver.run(to: 0, from: staged)
    driver.end(.signaled(9), driver.remains(staged))
    let publication = try #require(driver.state.publication)
    driver.run(to: 0)
    driver.end(.signaled(9), driver.remains(older))
    #expect(driver.state.phase == .backingOff)
    let waits = driver.send(.timer(.backoff))
    #expect(waits == [.arm(.backoff, at: driver.now.monotonic + .seconds(60))])
    if isWritten {
      driver.send(.resumePointChosen(durable))
      let actions = driver.send(.published(slot: publication.slot, step: 20, took: .seconds(1)))
      #expect(actions.contains(.start(attempt: 3, from: durable, skips: [])))
      #expect(actions.contains(.disarm(.backoff)))
    } else {
      // Not for ever: the disk may hang.
      let actions = driver.send(.timer(.backoff))
      #expect(actions.contains(.start(attempt: 3, from: older, skips: [])))
    }
  }

  @Test func unansweredRequestIsRepeated() throws {
    var driver = Driver()
    driver.run(to: 20)
    driver.send(.timer(.stage))
    let first = try #require(driver.state.request)
    var patience = Duration.zero
    for count in 2...7 {
      guard case .arm(.stage, let at) = driver.log.last else { break }
      #expect(at - driver.now.monotonic >= patience && at - driver.now.monotonic <= .seconds(960))
      patience = at - driver.now.monotonic
      // Before its time nothing happens.
      driver.wait(.seconds(1))
      #expect(count > 2 || driver.send(.timer(.stage)).isEmpty)
      driver.wait(patience)
      let asked = driver.send(.timer(.stage))
      let request = try #require(driver.state.request)
      #expect(request.slot == first.slot && request.sequence == first.sequence + UInt64(count - 1))
      #expect(asked.contains(.request(.save, sequence: request.sequence, slot: request.slot, deadline: nil)))
    }
    #expect(driver.send(.answered(sequence: first.sequence, .missed())).isEmpty, "an answer to an old one")
    let request = try #require(driver.state.request)
    driver.send(.answered(sequence: request.sequence, .staged(step: 20, stall: .milliseconds(1))))
    #expect(driver.state.request == nil && driver.state.newestStaged?.step == 20)
  }

  @Test func stateBeforeFirstStepIsAResumePoint() {
    var driver = Driver()
    driver.send(.begin(driver.remains(.beginning)))
    #expect(driver.state.initialSlot == 0)
    driver.send(.started)
    driver.send(.attached())
    driver.send(.stagedInitially(slot: 0, .staged(step: 0, stall: .milliseconds(1))))
    driver.send(.stepped(progress(1)))
    driver.send(.timer(.stage))
    #expect(driver.state.request?.slot == 1, "it is kept until there is another")
    let begun = ResumePoint.checkpoint(level: .staged, step: 0)
    let actions = driver.end(.signaled(9), driver.remains(begun, progress: progress(1)))
    #expect(actions.contains(.start(attempt: 2, from: begun, skips: [])))
    #expect(driver.state.initialSlot == nil)
  }
}
