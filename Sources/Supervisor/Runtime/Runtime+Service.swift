import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import Synchronization
import SystemPackage
import TrainerProtocol

// The job as a service: ready, alive, how far, how much longer.
extension Runtime {
  /// The store is open, the resume point chosen, and the trainer's exec confirmed.
  func serviceIsReady() {
    // Without a listener there is nothing to do, now or later.
    guard attempt.record.running, service.beatInterval != nil, timers.deadline(.beat) == nil else { return }
    service.ready(status: serviceStatus)
    beat()
  }

  func beat() {
    guard let interval = service.beatInterval else { return }
    let now = Self.now.monotonic
    attempt.sampleRate(now: now)
    service.beat(status: serviceStatus, stopTimeLeft: stopTimeLeft)
    arm(.beat, at: now + interval)
  }

  /// What the core decided may be news.
  func notifyService(since phase: Phase, wasStopping: Bool) {
    guard timers.deadline(.beat) != nil else { return }
    if (state.stop != nil) != wasStopping || state.phase != phase { beat() }
  }

  /// Before anything is done for it: the service manager counts already.
  func notifyServiceOfStop() { if let stopTimeLeft { service.beginStop(timeLeft: stopTimeLeft) } }

  private var stopTimeLeft: Duration? {
    state.stop.map { max(.zero, $0.endsAt - Self.now.monotonic) }
  }

  // MARK: The status

  var serviceStatus: String {
    let text: String
    if let left = stopTimeLeft {
      text = "stopping: \(stopStatus) · \(Words.duration(left)) left"
    } else if let preemption = state.preemption {
      let left = max(.zero, preemption.deadline - Self.now.monotonic)
      text = "\(preemption.notice.source) takes this machine away in \(Words.duration(left)) · \(status)"
    } else {
      text = status
    }
    // The worst first: one line has no room for two.
    guard let reason = degradations.reasons.min(by: { $0.key < $1.key })?.value else { return text }
    return "degraded: \(reason) · \(text)"
  }

  private var status: String {
    switch state.phase {
    case .idle, .starting:
      return "starting attempt \(attempt.record.attempt) \(ServiceStatus.from(state.resume))"
    case .running:
      guard let position else {
        if let doing { return "attempt \(attempt.record.attempt): \(doing)" }
        return "attempt \(attempt.record.attempt) started \(ServiceStatus.from(state.resume)) · no step yet"
      }
      return ServiceStatus.running(position, attempt: attempt.record.attempt)
    case .backingOff:
      let left = timers.deadline(.core(.backoff)).map { max(.zero, $0 - Self.now.monotonic) } ?? .zero
      return ServiceStatus.backingOff(
        left, stalls: state.standing.stalls, maxStalls: state.policy.maxStalls, resume: state.resume)
    case .saving, .terminating: return "ending attempt \(attempt.record.attempt)"
    case .clearing: return "attempt \(attempt.record.attempt) ended, clearing up"
    case .settling, .done: return publishing ?? "leaving"
    }
  }

  private var stopStatus: String {
    switch state.phase {
    case .saving: "waiting for the trainer to save\(atStep)"
    case .terminating: publishing ?? "waiting for the trainer to leave\(atStep)"
    case .idle, .starting, .running, .clearing, .backingOff, .settling, .done:
      publishing ?? "leaving\(atStep)"
    }
  }

  private var atStep: String { attempt.record.lastStep.map { " at step \(Words.number($0))" } ?? "" }

  private var publishing: String? {
    guard let publication = state.publication else { return nil }
    return ServiceStatus.publishing(
      step: publication.step, writtenBytes: publisher.progress.writtenBytes.load(ordering: .relaxed),
      totalBytes: publisher.progress.totalBytes.load(ordering: .relaxed))
  }

  private var position: ServiceStatus.Position? {
    guard let step = attempt.record.lastStep, let position = attempt.position else { return nil }
    let named = Array(zip(attempt.metricNames, attempt.metrics)).filter { !$0.1.isNaN || $0.0 == "loss" }
    let wall = Clock.wallNanoseconds
    return ServiceStatus.Position(
      step: step, totalSteps: job.totalSteps, epoch: position.epoch, totalEpochs: job.totalEpochs,
      batch: position.batch, batchesPerEpoch: job.batchesPerEpoch,
      stepsPerSecond: attempt.stepsPerSecond,
      metric: (named.first { $0.0 == "loss" } ?? named.first).map { ($0.0, $0.1) },
      durableAge: catalogue.newestDurableAtNs.map { .nanoseconds(wall - min(wall, $0)) })
  }

  // MARK: The end

  /// What systemd shows as the reason; nil: it is no failure, or none that has a number.
  func errno(_ ending: Ending) -> Int32? {
    switch ending {
    case .finished, .stopped, .gaveUp: nil
    case .commandNotFound, .commandNotExecutable, .cannotStart: fatalErrno ?? EIO
    case .finalStateNotDurable: EIO
    case .internalError: fatalErrno ?? EIO
    }
  }
}

extension StartFailure {
  var errno: Int32 {
    switch self {
    case .notFound: ENOENT
    case .notExecutable: EACCES
    case .noRoom: ENOSPC
    case .other(let errno): errno
    }
  }
}

extension ServiceStatus {
  /// The last word, which `systemctl status` goes on to show.
  static func ended(_ result: Supervisor.Result) -> String {
    let step = Words.number(result.step)
    let why = result.why.map { ": \($0)" } ?? ""
    switch result.ending {
    case .finished:
      return
        "finished at step \(step)\(result.deviation.map { "; not the undisturbed run \($0.words)" } ?? "")"
    case .stopped: return "stopped, resumes at step \(step)"
    case .gaveUp: return "gave up: \(result.gaveUp ?? "no progress past step \(step)")\(why)"
    case .commandNotFound, .commandNotExecutable, .cannotStart: return "the trainer cannot be started\(why)"
    case .finalStateNotDurable: return "finished, but the final state is not durable\(why)"
    case .internalError: return "the supervisor failed\(why)"
    }
  }

  static func errno(_ error: any Error) -> Int32 {
    if let error = error as? POSIXError { return error.errno.rawValue }
    guard let error = error as? SupervisorError else { return EIO }
    return switch error.code {
    case .alreadySupervised, .leftoverProcess: EBUSY
    case .otherJob: EINVAL
    case .cannotCreate: EACCES
    case .commandNotFound: ENOENT
    case .commandNotExecutable: EACCES
    case .newerFormat, .damaged, .io, .internal: EIO
    }
  }
}
