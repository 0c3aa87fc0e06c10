import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import Synchronization
import TrainerProtocol

/// Reports the job to the service manager: readiness, liveness, status and remaining stop time.
struct ServiceReporter {
  let link: ServiceLink
  let core: Core
  let job: JobRecorder
  let attempt: AttemptRecorder
  let catalogue: ResumeCatalogue
  let publisher: Publisher
  let live: LiveRecorder
  let degradations: Degradations
  let timers: Timers

  /// The store is open, the resume point chosen, and the trainer's exec confirmed.
  func isReady() {
    // Without a service manager there is nothing to do.
    guard attempt.record.running, link.beatInterval != nil, timers.deadline(.beat) == nil else { return }
    link.ready(status: fullStatus)
    beat()
  }

  func beat() {
    guard let interval = link.beatInterval else { return }
    let now = Moment.now.monotonic
    attempt.sampleRate(now: now)
    link.beat(status: fullStatus, stopTimeLeft: stopTimeLeft)
    timers.arm(.beat, at: now + interval)
  }

  /// Reports changes after a transition.
  func notify(since phase: Phase, wasStopping: Bool) {
    guard timers.deadline(.beat) != nil else { return }
    if (core.state.stop != nil) != wasStopping || core.state.phase != phase { beat() }
  }

  /// Called before the stop's actions, since the service manager's timeout is running.
  func notifyOfStop() { if let stopTimeLeft { link.beginStop(timeLeft: stopTimeLeft) } }

  private var stopTimeLeft: Duration? {
    core.state.stop.map { max(.zero, $0.endsAt - Moment.now.monotonic) }
  }

  // MARK: The status

  private var fullStatus: String {
    let text: String
    if let left = stopTimeLeft {
      text = "stopping: \(stopStatus) · \(Words.duration(left)) left"
    } else if let preemption = core.state.preemption {
      let left = max(.zero, preemption.deadline - Moment.now.monotonic)
      text = "preemption notice from \(preemption.notice.source), \(Words.duration(left)) left · \(status)"
    } else {
      text = status
    }
    // One reason only, since the status is one line.
    guard let reason = degradations.reasons.min(by: { $0.key < $1.key })?.value else { return text }
    return "degraded: \(reason) · \(text)"
  }

  private var status: String {
    switch core.state.phase {
    case .idle, .starting:
      return "starting attempt \(attempt.record.attempt) \(ServiceStatus.from(core.state.resume))"
    case .running:
      guard let position else {
        if let doing = live.doing() { return "attempt \(attempt.record.attempt): \(doing)" }
        return
          "attempt \(attempt.record.attempt) started \(ServiceStatus.from(core.state.resume)) · no step yet"
      }
      return ServiceStatus.running(position, attempt: attempt.record.attempt)
    case .backingOff:
      let left = timers.deadline(.core(.backoff)).map { max(.zero, $0 - Moment.now.monotonic) } ?? .zero
      return ServiceStatus.backingOff(
        left, stalls: core.state.standing.stalls, maxStalls: core.state.policy.maxStalls,
        resume: core.state.resume)
    case .saving, .terminating: return "ending attempt \(attempt.record.attempt)"
    case .clearing: return "attempt \(attempt.record.attempt) ended, cleaning up"
    case .settling, .done: return publishing ?? "exiting"
    }
  }

  private var stopStatus: String {
    switch core.state.phase {
    case .saving: "waiting for the trainer to save\(atStep)"
    case .terminating: publishing ?? "waiting for the trainer to exit\(atStep)"
    case .idle, .starting, .running, .clearing, .backingOff, .settling, .done:
      publishing ?? "exiting\(atStep)"
    }
  }

  private var atStep: String { attempt.record.lastStep.map { " at step \(Words.number($0))" } ?? "" }

  private var publishing: String? {
    guard let publication = core.state.publication else { return nil }
    return ServiceStatus.publishing(
      step: publication.step, writtenBytes: publisher.progress.writtenBytes.load(ordering: .relaxed),
      totalBytes: publisher.progress.totalBytes.load(ordering: .relaxed))
  }

  private var position: ServiceStatus.Position? {
    guard let step = attempt.record.lastStep, let position = attempt.position else { return nil }
    let named = Array(zip(attempt.metricNames, attempt.metrics)).filter { !$0.1.isNaN || $0.0 == "loss" }
    let wall = Clock.wallNanoseconds
    return ServiceStatus.Position(
      step: step, totalSteps: job.record.totalSteps, epoch: position.epoch,
      totalEpochs: job.record.totalEpochs,
      batch: position.batch, batchesPerEpoch: job.record.batchesPerEpoch,
      stepsPerSecond: attempt.stepsPerSecond,
      metric: (named.first { $0.0 == "loss" } ?? named.first).map { ($0.0, $0.1) },
      durableAge: catalogue.newestDurableAtNs.map { .nanoseconds(wall - min(wall, $0)) })
  }
}
