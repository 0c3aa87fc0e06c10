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
        configuration.preemption, environment: command.helperEnvironment
      ) { [mailbox] report in mailbox.post(.preemption(report)) }
      preemption = watch
      processes.sparedSession = { watch.session }
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
      send(.preemptionNotice(notice))
      recordNotice()
    case .warning(let source, let text): send(.preemptionWarning(source: source, text: text))
    case .cancelled(let event):
      send(.preemptionCancelled(event: event))
      recordNotice()
    case .degraded(let text): degradations.begin("preemption", text)
    case .recovered(let text): degradations.end("preemption", text)
    case .absent(let text): events.log(.preemptionAbsent, text)
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
  private func recordNotice() {
    attempt.update { $0.notice = noticeRecord }
  }

  /// Before we leave: the source acts on it at once.
  func acknowledge(_ notice: PreemptionNotice) {
    do {
      try preemption?.acknowledge(event: notice.event, timeout: .seconds(2))
      events.log(.preemptionAcknowledged, "told \(notice.source) that it need not wait any longer")
    } catch {
      events.log(
        .preemptionUnacknowledged, "\(notice.source) was not told that it need not wait: \(error)",
        isWarning: true)
    }
  }

  /// How the attempt left, for its record: who asked, and how long it took until all was durable.
  func recordLeaving(_ grace: Duration, isByNotice: Bool) {
    let by = isByNotice ? "\(state.preemption?.notice.source ?? "a") notice" : Words.signal(stopSignal)
    attempt.update { $0.leaving = .init(by: by, graceSeconds: grace / .seconds(1)) }
  }

  func recordSaved() {
    guard let stop = state.stop, attempt.record.leaving != nil else { return }
    let saved = (Self.now.monotonic - stop.requestedAt) / .seconds(1)
    attempt.update { $0.leaving?.savedSeconds = saved }
  }
}
