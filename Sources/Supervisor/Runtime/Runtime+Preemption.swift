import JobStore
import POSIX
import Preemption
import Supervision

// Notices that this machine will be taken away.
extension Runtime {
  /// A source that cannot be listened to is said, and is no reason not to train.
  func listen() {
    do {
      let watch = try PreemptionWatch(
        configuration.preemption, environment: helperEnvironment
      ) { [mailbox] report in mailbox.post(.preemption(report)) }
      preemption = watch
      if let cloud = watch.cloud {
        tell(.preemptionSource, "listening for preemption notices from \(cloud.name)")
      }
    } catch {
      degrade("preemption", "no preemption notices: \(error)")
    }
  }

  func take(_ report: NoticeReport) {
    switch report {
    case .notice(let notice):
      send(.preemptionNotice(notice))
      keepNotice()
    case .warning(let source, let text): send(.preemptionWarning(source: source, text: text))
    case .cancelled(let event):
      send(.preemptionCancelled(event: event))
      keepNotice()
    case .degraded(let text): degrade("preemption", text)
    case .recovered(let text): recover("preemption", text)
    case .absent(let text): tell(.preemptionAbsent, text)
    }
  }

  /// What is known of the machine's end, as the store keeps it.
  var noticeRecord: AttemptRecord.Notice? {
    state.preemption.map { preemption in
      let left = max(.zero, preemption.deadline - Self.now.monotonic)
      return .init(
        source: preemption.notice.source, action: preemption.notice.action,
        deadlineNs: [Clock.wallNanoseconds, UInt64(min(left / .nanoseconds(1), 1e19))].saturatingSum)
    }
  }

  /// In the attempt's record: should the machine go before we do, the next supervisor knows why.
  private func keepNotice() {
    attempt.notice = noticeRecord
    writer.submit([.attempt(attempt)])
  }

  /// Before we leave: the source acts on it at once.
  func acknowledge(_ notice: PreemptionNotice) {
    do {
      try preemption?.acknowledge(event: notice.event, patience: .seconds(2))
      tell(.preemptionAcknowledged, "told \(notice.source) that it need not wait any longer")
    } catch {
      tell(
        .preemptionUnacknowledged, "\(notice.source) was not told that it need not wait: \(error)",
        isWarning: true)
    }
  }

  /// How the attempt left, for its record: who asked, and how long it took until all was durable.
  func keepLeaving(_ grace: Duration, isByNotice: Bool) {
    attempt.leaving = .init(
      by: isByNotice ? "\(state.preemption?.notice.source ?? "a") notice" : Words.signal(stopSignal),
      graceSeconds: grace / .seconds(1))
    writer.submit([.attempt(attempt)])
  }

  func keepSaved() {
    guard let stop = state.stop, attempt.leaving != nil else { return }
    attempt.leaving?.savedSeconds = (Self.now.monotonic - stop.requestedAt) / .seconds(1)
    writer.submit([.attempt(attempt)])
  }
}
