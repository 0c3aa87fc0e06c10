import Supervision
import Systemd
import Testing
import Vocabulary

@testable import Supervisor

@Suite struct ServiceReportTests {
  @Test func watchdogNeedsWriterTurn() {
    var report = ServiceReport(watchdogInterval: .seconds(30), now: .zero)
    #expect(report.watchdog(writerTurnAt: .seconds(1), now: .seconds(20)).isEmpty, "not ready yet")
    #expect(report.ready(now: .seconds(20)) == [.ready])
    #expect(report.watchdog(writerTurnAt: .seconds(29), now: .seconds(29)).isEmpty, "not due yet")
    #expect(report.watchdog(writerTurnAt: .seconds(29), now: .seconds(30)) == [.watchdog])
    // Its last turn was before the last word: it hangs. As soon as it turns again, that is said.
    #expect(report.watchdog(writerTurnAt: .seconds(29), now: .seconds(45)).isEmpty)
    #expect(report.watchdog(writerTurnAt: .seconds(46), now: .seconds(46)) == [.watchdog])
  }

  @Test func withoutAWatchdogNothingIsSent() {
    var report = ServiceReport(watchdogInterval: nil, now: .zero)
    _ = report.ready(now: .zero)
    #expect(report.watchdog(writerTurnAt: .seconds(99), now: .seconds(99)).isEmpty)
    #expect(report.beatInterval == .seconds(1))
    #expect(ServiceReport(watchdogInterval: .seconds(1), now: .zero).beatInterval == .seconds(1) / 3)
  }

  @Test func statusIsSentOnChangeAndRateLimited() {
    var report = ServiceReport(watchdogInterval: nil, now: .zero)
    #expect(report.status("step 1", now: .seconds(5)) == [.status("step 1")])
    #expect(report.status("step 2", now: .milliseconds(5999)).isEmpty)
    #expect(report.status("step 2", now: .seconds(6)) == [.status("step 2")])
    #expect(report.status("step 2", now: .seconds(60)).isEmpty)
  }

  /// All of the grace time, at once and again, with or without progress; and never more than that.
  @Test func stopRequestsGraceTime() {
    var report = ServiceReport(watchdogInterval: nil, now: .zero)
    let stop = { (left: Int, now: Int, isFirst: Bool) in
      report.extendStop(left: .seconds(left), isFirst: isFirst, now: .seconds(now))
    }
    #expect(stop(60, 100, true) == [.extendTimeout(.seconds(65))])
    #expect(stop(51, 109, false).isEmpty)
    #expect(stop(50, 110, false) == [.extendTimeout(.seconds(55))])
    #expect(stop(-1, 161, false) == [.extendTimeout(.seconds(5))])
    // Another one, after the first was taken back.
    #expect(stop(60, 162, true) == [.extendTimeout(.seconds(65))])
  }

  @Test func statusIsOneLine() {
    var position = ServiceStatus.Position(
      step: 1620, totalSteps: nil, epoch: 2, totalEpochs: 10, batch: 120, batchesPerEpoch: 500,
      stepsPerSecond: 41.2, metric: ("loss", 0.1234), durableAge: .seconds(12))
    #expect(
      ServiceStatus.running(position, attempt: 2)
        == "epoch 3/10 · batch 120/500 · step 1,620 · 41 steps/s · loss 0.1234 · durable 12 s ago · attempt 2"
    )
    position.stepsPerSecond = nil
    position.metric = nil
    position.durableAge = nil
    position.totalSteps = 5000
    #expect(
      ServiceStatus.running(position, attempt: 1)
        == "epoch 3/10 · batch 120/500 · step 1,620/5,000 · nothing durable yet · attempt 1")
    #expect(
      ServiceStatus.backingOff(
        .seconds(4), stalls: 3, maxStalls: 5, resume: .checkpoint(level: .durable, step: 250))
        == "backing off: next attempt in 4.0 s · 3 of 5 attempts without progress · from step 250 (durable)")
    #expect(
      ServiceStatus.publishing(step: 9, writtenBytes: 125_829_120, totalBytes: 536_870_912)
        == "making step 9 durable, 120 MiB of 512 MiB")
  }

  @Test func rateCoversOneAttempt() {
    var rate = StepRate()
    rate.sample(step: 10, attempt: 1, now: .seconds(1))
    #expect(rate.stepsPerSecond == nil)
    rate.sample(step: 50, attempt: 1, now: .seconds(2))
    #expect(rate.stepsPerSecond == 40)
    rate.sample(step: 40, attempt: 2, now: .seconds(3))
    #expect(rate.stepsPerSecond == nil)
  }
}
