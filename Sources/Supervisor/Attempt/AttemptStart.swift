import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Starts an attempt: its record in the store, its trainer, and the verification of its resume point.
struct AttemptStart {
  let boot: String
  let stateID: String?
  let writer: StoreWriter
  let core: Core
  let attempt: AttemptRecorder
  let launcher: TrainerLauncher
  let processes: TrainerProcesses
  let stacks: HangStacks
  let catalogue: ResumeCatalogue
  let verification: ResumePointVerification
  let preemption: PreemptionListener
  let live: LiveRecorder
  let metrics: MetricsReporter
  let service: ServiceReporter
  let events: EventLog
  let degradations: Degradations
  let timers: Timers
  let loop: EventLoop
  let end: AttemptEnd

  func start(_ number: UInt64, from: ResumePoint, skips: [BatchPosition], _ request: FirstRequest?) {
    metrics.addPast(attempt.record)
    attempt.begin(number, boot: boot, resumedFrom: catalogue.resumedFrom, notice: preemption.record)
    degradations.clear("ring", "records")
    stacks.begin()
    // Durable before the launch, so that attempt numbers are unique. If the store cannot be written, the job continues:
    // the ring's header has the number too. The same commit contains the rest of the last attempt's ring.
    let commit = writer.begin([.attempt(attempt.record), .live(live.record(.starting))])
    do {
      let child = try launcher.launch(number, skips, request, after: commit)
      attempt.update {
        $0.pid = child.pid
        $0.pidStartTime = processes.startTime
        $0.stateIdentity = stateID
      }
      if let pause = processes.firstCensusPause { timers.arm(.census, at: Moment.now.monotonic + pause) }
      try loop.add(child.descriptor) { [end] in end.childExited() }
      logStart(from)
      core.send(.started)
      service.isReady()
      verification.begin()
      // It reuses the previous ring, which the writer may have to read again until the commit is durable.
      if commit.isDurable { launcher.prepareNextRing() }
    } catch let failure as TrainerCommand.Failure {
      startFailed(failure.kind, failure.why)
    } catch {
      startFailed(.other(errno: (error as? POSIXError)?.errno.rawValue ?? EIO), "\(error)")
    }
  }

  private func startFailed(_ kind: StartFailure, _ why: String) {
    attempt.startFailed(why, errno: kind.errno)
    core.send(.startFailed(kind))
  }

  private func logStart(_ from: ResumePoint) {
    let number = core.state.standing.attempt
    let place: String =
      switch from {
      case .beginning: "started from the beginning"
      case .checkpoint: "resumed from \(from.words)"
      }
    let window = attempt.furthestStep.map { $0 > from.step ? $0 - from.step : 0 } ?? 0
    let replay = window == 0 ? "" : ", \(Words.count(window, "step")) to replay"
    events.log(.attemptStarted, "attempt \(number) \(place)\(replay)", step: from.step)
    for batch in core.state.standing.skips {
      events.log(.skipBatch, "attempt \(number) skips \(Note.words(batch))")
    }
  }
}
