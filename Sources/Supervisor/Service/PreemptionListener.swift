import JobStore
import POSIX
import Preemption
import Reporting
import Supervision
import Vocabulary

/// Passes preemption notices from their source to the core and into the attempt's record.
final class PreemptionListener {
  private let source: PreemptionSource
  private let command: TrainerCommand
  private let core: Core
  private let attempt: AttemptRecorder
  private let events: EventLog
  private let degradations: Degradations
  private let mailbox: Mailbox<Runtime.Report>
  private var watch: PreemptionWatch?

  init(
    _ source: PreemptionSource, _ command: TrainerCommand, _ core: Core, _ attempt: AttemptRecorder,
    _ events: EventLog, _ degradations: Degradations, _ mailbox: Mailbox<Runtime.Report>
  ) {
    self.source = source
    self.command = command
    self.core = core
    self.attempt = attempt
    self.events = events
    self.degradations = degradations
    self.mailbox = mailbox
  }

  /// Training continues if the source is not available; the degradation is reported.
  func listen() {
    do {
      let watch = try PreemptionWatch(
        source, environment: command.helperEnvironment
      ) { [mailbox] report in mailbox.post(.preemption(report)) }
      self.watch = watch
      if let cloud = watch.cloud {
        events.log(.preemptionSource, "listening for preemption notices from \(cloud.name)")
      }
    } catch {
      degradations.begin("preemption", "no preemption notices: \(error)")
    }
  }

  func handle(_ report: NoticeReport) {
    switch report {
    case .notice(let notice):
      core.send(.preemptionNotice(notice))
      recordNotice()
    case .warning(let source, let text): core.send(.preemptionWarning(source: source, text: text))
    case .cancelled(let event):
      core.send(.preemptionCancelled(event: event))
      recordNotice()
    case .degraded(let text): degradations.begin("preemption", text)
    case .recovered(let text): degradations.end("preemption", text)
    case .absent(let text): events.log(.preemptionAbsent, text)
    }
  }

  /// The current notice as the store has it.
  var record: AttemptRecord.Notice? {
    core.state.preemption.map { preemption in
      let left = max(.zero, preemption.deadline - Moment.now.monotonic)
      return .init(
        source: preemption.notice.source, action: preemption.notice.action,
        deadlineNs: [Clock.wallNanoseconds, UInt64(min(left / .nanoseconds(1), 1e19))].saturatingSum)
    }
  }

  /// If the machine goes down before the supervisor exits, the next supervisor finds the reason in the record.
  private func recordNotice() {
    attempt.update { $0.notice = record }
  }

  /// Called last, since the source acts on it at once.
  func acknowledge(_ notice: PreemptionNotice) {
    do {
      try watch?.acknowledge(event: notice.event, timeout: .seconds(2))
      events.log(
        .preemptionAcknowledged,
        "acknowledged the preemption notice from \(notice.source): it need not wait any longer")
    } catch {
      events.log(
        .preemptionUnacknowledged, "cannot acknowledge the preemption notice from \(notice.source): \(error)",
        isWarning: true)
    }
  }

  func stop() { watch?.stop() }
}
