import JobStore
import POSIX
import Supervision
import TrainerProtocol
import Vocabulary

/// Verifies the chosen resume point by reading it in full while the trainer starts, and replaces it if it is damaged.
/// The trainer waits for the verdict only before it loads the point.
final class ResumePointVerification {
  private let store: JobStore
  private let core: Core
  private let attempt: AttemptRecorder
  private let link: TrainerLink
  private let catalogue: ResumeCatalogue
  private let resumeFile: ResumeFileWriter
  private let live: LiveRecorder
  private let events: EventLog
  private let degradations: Degradations
  private let timers: Timers
  private let mailbox: Mailbox<Runtime.Report>
  /// The read in progress.
  private var reading: ResumePointReading?

  init(
    _ store: JobStore, _ core: Core, _ attempt: AttemptRecorder, _ link: TrainerLink,
    _ catalogue: ResumeCatalogue, _ resumeFile: ResumeFileWriter, _ live: LiveRecorder, _ events: EventLog,
    _ degradations: Degradations, _ timers: Timers, _ mailbox: Mailbox<Runtime.Report>
  ) {
    self.store = store
    self.core = core
    self.attempt = attempt
    self.link = link
    self.catalogue = catalogue
    self.resumeFile = resumeFile
    self.live = live
    self.events = events
    self.degradations = degradations
    self.timers = timers
    self.mailbox = mailbox
  }

  func begin() {
    let choice = catalogue.choice
    guard choice.isUnread, let source = choice.source, reading?.source.identity != source.identity else {
      return
    }
    let reading = ResumePointReading(
      source, lengthBytes: choice.file?.lengthBytes ?? 0, catalogue.candidates, store)
    do {
      try reading.start { [mailbox] fault in mailbox.post(.pointRead(source, fault: fault)) }
      self.reading = reading
      timers.arm(.reading, at: Moment.now.monotonic + .seconds(1))
    } catch {
      // Without verification the trainer itself detects an image that does not fit.
      Console.warning("cannot verify \(source.point.words): \(error)")
      sendVerdict()
    }
  }

  func readCompleted(_ source: ResumeCandidates.Source, fault: String?) {
    if reading?.source.identity == source.identity { reading = nil }
    let isChosen = catalogue.choice.source?.identity == source.identity
    guard let fault else {
      catalogue.markWhole(source)
      if case .staged(let slot, _, _, _) = source { catalogue.candidates.digests.make(slot) }
      if isChosen { sendVerdict() }
      return
    }
    catalogue.markDamaged(source, fault)
    if isChosen { replaceResumePoint(source.point) }
  }

  private func sendVerdict() {
    catalogue.endReading()
    link.sendVerdict()
    live.write()
  }

  private func replaceResumePoint(_ damaged: ResumePoint) {
    catalogue.choose(deaths: core.state.standing.restoreDeaths ?? [])
    let choice = catalogue.choice
    core.send(
      .resumePointDamaged(
        Replacement(
          damaged: damaged, next: choice.point, slots: choice.slots, durableStep: catalogue.durableStep)))
    guard link.isOpen, attempt.record.running else { return }
    attempt.update { $0.resumedFrom = catalogue.resumedFrom }
    events.log(
      .attemptStarted,
      "attempt \(attempt.record.attempt) continues from \(choice.point.words) instead"
        + (choice.point == .beginning ? ": there is no other resume point" : ""),
      isWarning: choice.point == .beginning, step: choice.point.step)
    link.replacePoint(initialSlot: core.state.initialSlot)
    do {
      try resumeFile.write(attempt.record.attempt, core.state.standing.skips)
    } catch {
      // No verdict is sent, so the trainer times out and never loads the damaged point.
      return degradations.begin("run directory", "cannot replace the resume point: \(error)")
    }
    endTrainerWithDamagedPoint()
    if choice.isUnread { begin() } else { sendVerdict() }
  }

  /// A trainer that does not wait for verdicts may have loaded the damaged point already.
  func endTrainerWithDamagedPoint() {
    guard link.mayHaveLoadedDamagedPoint, core.state.attempt?.attached == true else { return }
    core.send(.loadedDamagedPoint)
  }

  // MARK: Status

  /// What the trainer is waiting for.
  var doing: String? {
    guard let reading, core.state.attempt != nil else { return nil }
    return ServiceStatus.verifying(
      reading.source.point, readBytes: reading.readBytes, totalBytes: reading.totalBytes)
  }

  func show() {
    guard let reading else { return }
    link.setVerified(bytes: reading.readBytes)
    live.write()
    timers.arm(.reading, at: Moment.now.monotonic + .seconds(1))
  }
}
