import JobStore
import POSIX
import Supervision
import TrainerProtocol
import Vocabulary

// What attempts start from: chosen by what costs no reading, read in full while the trainer starts, and
// replaced when it is damaged. The trainer waits for the verdict only where it loads the point.
extension Runtime {
  var resumedFrom: AttemptRecord.Resume? {
    catalogue.choice.file.map { .init(level: $0.level, step: $0.step) }
  }

  func readResumePoint() {
    let choice = catalogue.choice
    guard choice.isUnread, let source = choice.source, reading?.source.identity != source.identity else {
      return
    }
    let reading = ResumePointReading(
      source, lengthBytes: choice.file?.lengthBytes ?? 0, catalogue.candidates, store)
    do {
      try reading.start { [mailbox] fault in mailbox.post(.pointRead(source, fault: fault)) }
      self.reading = reading
      arm(.reading, at: Self.now.monotonic + .seconds(1))
    } catch {
      // As it was before anything was read: the trainer itself sees what does not fit.
      Console.warning("\(source.point.words) cannot be verified: \(error)")
      giveVerdict()
    }
  }

  func pointWasRead(_ source: ResumeCandidates.Source, fault: String?) {
    if reading?.source.identity == source.identity { reading = nil }
    let isChosen = catalogue.choice.source?.identity == source.identity
    guard let fault else {
      catalogue.markWhole(source)
      if case .staged(let slot, _, _) = source { catalogue.candidates.digests.make(slot) }
      if isChosen { giveVerdict() }
      return
    }
    catalogue.markDamaged(source, fault)
    if isChosen { replaceResumePoint(source.point) }
  }

  private func giveVerdict() {
    catalogue.endReading()
    link.giveVerdict()
    writeLive()
  }

  private func replaceResumePoint(_ damaged: ResumePoint) {
    catalogue.choose(deaths: state.standing.restoreDeaths ?? [])
    let choice = catalogue.choice
    send(
      .resumePointDamaged(
        Replacement(
          damaged: damaged, next: choice.point, slots: choice.slots, durableStep: catalogue.durableStep)))
    guard link.isOpen, attempt.record.running else { return }
    attempt.update { $0.resumedFrom = resumedFrom }
    events.log(
      .attemptStarted,
      "attempt \(attempt.record.attempt) goes on from \(choice.point.words) instead"
        + (choice.point == .beginning ? ": there is nothing else" : ""),
      isWarning: choice.point == .beginning, step: choice.point.step)
    link.replacePoint(initialSlot: state.initialSlot)
    do {
      try writeResumeFile(attempt.record.attempt, state.standing.skips)
    } catch {
      // The verdict stays away, and the trainer gives up waiting: it never loads what is damaged.
      return degradations.begin("run directory", "the resume point cannot be replaced: \(error)")
    }
    endMisledTrainer()
    if choice.isUnread { readResumePoint() } else { giveVerdict() }
  }

  /// One that does not wait for verdicts may have loaded the damaged point already.
  func endMisledTrainer() {
    guard link.mayBeMisled, state.attempt?.attached == true else { return }
    send(.misled)
  }

  // MARK: Showing it

  /// What the trainer waits for.
  var doing: String? {
    guard let reading, state.attempt != nil else { return nil }
    return ServiceStatus.verifying(
      reading.source.point, readBytes: reading.readBytes, totalBytes: reading.totalBytes)
  }

  func showReading() {
    guard let reading else { return }
    link.setVerified(bytes: reading.readBytes)
    writeLive()
    arm(.reading, at: Self.now.monotonic + .seconds(1))
  }
}
