import JobStore
import POSIX
import Supervision
import TrainerProtocol

// What attempts start from: chosen by what costs no reading, read in full while the trainer starts, and
// replaced when it is damaged. The trainer waits for the verdict only where it takes the point.
extension Runtime {
  static func durableStep(_ records: [CheckpointRecord], _ damaged: Set<String>) -> UInt64 {
    records.filter { !damaged.contains(ResumeCandidates.Source.durable($0).identity) }.map(\.step).max() ?? 0
  }

  var resumedFrom: AttemptRecord.Resume? {
    choice.file.map { .init(level: $0.level, step: $0.step) }
  }

  func chooseResumePoint() {
    choice = candidates.choose(
      store: store, records: records, .init(whole: verified, damaged: damagedSources),
      deaths: state.standing.restoreDeaths ?? [])
    takeDamaged()
  }

  /// Says once what was found to be damaged.
  func takeDamaged() {
    for (source, what) in choice.damaged { take(damaged: source, what) }
    for slot in choice.unreadable where damagedSources.insert("slot \(slot)").inserted {
      tell(
        .checkpointDamaged,
        "the header of \(ArenaSlot.path(in: directories.run, slot: slot)) is damaged, and its image is not used",
        isWarning: true)
    }
  }

  private func take(damaged source: ResumeCandidates.Source, _ what: String) {
    guard damagedSources.insert(source.identity).inserted else { return }
    if case .durable(let record) = source { return tellDamaged(record.name, what) }
    tell(
      .checkpointDamaged, "\(Words.point(source.point)) is damaged (\(what)) and is not used", isWarning: true
    )
  }

  // MARK: Reading it

  /// Before the trainer is there.
  func prepareResumePoint(_ ring: RingReader) {
    pointIsReplaced = false
    ring.tell(choice.isUnread ? .pending : .none)
    ring.setInitialSlot(state.initialSlot.map(UInt32.init))
  }

  func readResumePoint() {
    guard choice.isUnread, let source = choice.source, reading?.source.identity != source.identity else {
      return
    }
    let reading = ResumePointReading(
      source, lengthBytes: choice.file?.lengthBytes ?? 0, candidates, store)
    do {
      try reading.start { [mailbox] fault in mailbox.post(.pointRead(source, fault: fault)) }
      self.reading = reading
      arm(.reading, at: Self.now.monotonic + .seconds(1))
    } catch {
      // As it was before anything was read: the trainer itself sees what does not fit.
      Console.warning("\(Words.point(source.point)) cannot be verified: \(error)")
      verdict()
    }
  }

  func pointWasRead(_ source: ResumeCandidates.Source, fault: String?) {
    if reading?.source.identity == source.identity { reading = nil }
    let isChosen = choice.source?.identity == source.identity
    guard let fault else {
      if case .durable(let record) = source { keepVerified([record.name]) }
      if case .staged(let slot, _, _) = source { candidates.digests.make(slot) }
      if isChosen { verdict() }
      return
    }
    take(damaged: source, fault)
    if isChosen { replaceResumePoint(source.point) }
  }

  private func verdict() {
    choice.isUnread = false
    ring?.tell(pointIsReplaced ? .replaced : .whole)
    keepLive()
  }

  private func replaceResumePoint(_ damaged: ResumePoint) {
    chooseResumePoint()
    send(
      .resumePointDamaged(
        Replacement(
          damaged: damaged, next: choice.point, slots: choice.slots,
          durableStep: Self.durableStep(records, damagedSources))))
    guard let ring, attempt.running else { return }
    pointIsReplaced = true
    attempt.resumedFrom = resumedFrom
    writer.submit([.attempt(attempt)])
    tell(
      .attemptStarted,
      "attempt \(attempt.attempt) goes on from \(Words.point(choice.point)) instead"
        + (choice.point == .beginning ? ": there is nothing else" : ""),
      isWarning: choice.point == .beginning, step: choice.point.step)
    ring.setInitialSlot(state.initialSlot.map(UInt32.init))
    do {
      try writeResumeFile(attempt.attempt, state.standing.skips)
    } catch {
      // The verdict stays away, and the trainer gives up waiting: it never takes what is damaged.
      return degrade("run directory", "the resume point cannot be replaced: \(error)")
    }
    endMisledTrainer()
    if choice.isUnread { readResumePoint() } else { verdict() }
  }

  /// One that does not wait for verdicts may have taken the damaged point already.
  func endMisledTrainer() {
    guard pointIsReplaced, state.attempt?.attached == true, ring?.restoring == .silent else { return }
    send(.misled)
  }

  // MARK: Showing it

  /// What the trainer waits for.
  var doing: String? {
    guard let reading, state.attempt != nil else { return nil }
    return ServiceStatus.verifying(
      reading.source.point, readBytes: reading.readBytes, totalBytes: reading.totalBytes)
  }

  func tellReading() {
    guard let reading else { return }
    ring?.setVerified(bytes: reading.readBytes)
    keepLive()
    arm(.reading, at: Self.now.monotonic + .seconds(1))
  }
}
