import TestSupport
import Testing

@testable import Metrics

@Suite struct TextTests {
  @Test func samplesOfFullFacts() {
    let text = fullFacts().text(nowNs: 1_700_000_000_500_000_000)
    let samples = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(
      samples.joined(separator: "\n") == """
        holdfast_info{job="resnet50",version="0.1.0",job_id="00ff"} 1
        holdfast_up{job="resnet50"} 1
        holdfast_facts_timestamp_seconds{job="resnet50"} 1700000000.25
        holdfast_trainer_up{job="resnet50"} 1
        holdfast_trainer_resident_bytes{job="resnet50"} 1073741824
        holdfast_attempt{job="resnet50"} 4
        holdfast_stalled_attempts{job="resnet50"} 1
        holdfast_degradations{job="resnet50"} 2
        holdfast_step{job="resnet50"} 48751
        holdfast_target_step{job="resnet50"} 90000
        holdfast_last_step_age_seconds{job="resnet50"} 1.5
        holdfast_checkpoint_step{job="resnet50",level="staged"} 48700
        holdfast_checkpoint_step{job="resnet50",level="durable"} 48000
        holdfast_last_durable_checkpoint_age_seconds{job="resnet50"} 10.5
        holdfast_goodput_ratio{job="resnet50"} 0.985
        holdfast_steps_total{job="resnet50"} 48771
        holdfast_replayed_steps_total{job="resnet50"} 20
        holdfast_attempts_total{job="resnet50",cause="crashed"} 2
        holdfast_attempts_total{job="resnet50",cause="preempted"} 1
        holdfast_restarts_total{job="resnet50",cause="preempted"} 1
        holdfast_time_seconds_total{job="resnet50",kind="down"} 90
        holdfast_time_seconds_total{job="resnet50",kind="productive"} 11500.5
        holdfast_ring_skipped_records_total{job="resnet50"} 3
        holdfast_step_duration_seconds_bucket{job="resnet50",le="0.5"} 3
        holdfast_step_duration_seconds_bucket{job="resnet50",le="1"} 3
        holdfast_step_duration_seconds_bucket{job="resnet50",le="+Inf"} 4
        holdfast_step_duration_seconds_sum{job="resnet50"} 7.25
        holdfast_step_duration_seconds_count{job="resnet50"} 4
        holdfast_trainer_metric{job="resnet50",name="loss"} NaN
        holdfast_trainer_metric{job="resnet50",name="lr"} 0.001
        """)
  }

  @Test func promtoolAcceptsTheText() throws {
    #expect(try promtool(fullFacts().text(nowNs: 0)) == "")
    let bare = JobFacts(
      job: "", jobID: "", version: "", gatheredAtNs: 0, stepDurations: Histogram(bounds: [1]))
    #expect(try promtool(bare.text(nowNs: 0)) == "")
  }

  @Test func promtoolRejectsInvalidText() throws {
    #expect(try promtool("holdfast_wrong_ms 1\n") != "")
  }

  /// Arbitrary names and numbers make valid text for Prometheus.
  @Test func arbitraryNamesAndNumbersAreValid() throws {
    var random = Generator(seed: 29)
    let values: [Double] = [
      .nan, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
    ]
    for _ in 0..<20 {
      var facts = fullFacts()
      facts.job = Self.name(&random)
      facts.version = Self.name(&random)
      facts.trainerMetrics = (0..<200).map { _ in
        let value =
          random.below(2) == 0 ? values[random.below(values.count)] : Double(bitPattern: random.next())
        return .init(name: Self.name(&random), value: value)
      }
      facts.trainerMetrics += facts.trainerMetrics.prefix(20)
      facts.checkpoints += facts.checkpoints
      facts.goodput = values[random.below(values.count)]
      facts.step = random.next()
      facts.durableAtNs = random.next()
      facts.counters.attempts[Self.name(&random)] = random.next()
      facts.counters.seconds[Self.name(&random)] = Double(random.below(1 << 40)) / 1e6
      let text = facts.text(nowNs: random.next())
      let output = try promtool(text)
      #expect(output == "", "\(output)\n\(text)")
    }
  }

  private static func name(_ random: inout Generator) -> String {
    let pieces = [
      "\"", "\\", "\n", "\r", "\0", "{", "}", ",", "=", "é", "漢", "🙂", "\u{7f}", "\u{202e}", "a", " ", "\\n",
    ]
    if random.below(4) == 0 { return String(decoding: random.bytes(random.below(40)), as: UTF8.self) }
    return (0..<random.below(12)).map { _ in pieces[random.below(pieces.count)] }.joined()
  }

  /// The smallest integer has no positive counterpart.
  @Test func extremeNumbersAreWritten() {
    let values = [
      Double(Int64.min), Double(Int64.max), 1e308, -1e308, .nan, .infinity, -.infinity, -0.0,
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 9_007_199_254_740_991,
    ]
    var facts = fullFacts()
    facts.trainerMetrics = values.enumerated().map { .init(name: "m\($0)", value: $1) }
    facts.goodput = Double(Int64.min)
    let text = facts.text(nowNs: 0)
    #expect(text.contains("name=\"m0\"} -9.22"))
    #expect(text.contains("name=\"m10\"} 9007199254740991\n"))
  }

  @Test func trainerMetricsAreLimited() {
    var facts = fullFacts()
    facts.trainerMetrics = (0..<5000).map { .init(name: "\($0)", value: 0) }
    let text = facts.text(nowNs: 0)
    #expect(text.split(separator: "\n").filter { $0.hasPrefix("holdfast_trainer_metric{") }.count == 1000)
  }

  @Test func countersNeverDecrease() {
    var counters = fullFacts().counters
    let before = counters
    var other = Counters()
    other.steps = 1
    other.attempts = ["crashed": 1, "hang": 1]
    other.seconds = ["productive": 12_000, "down": 1]
    counters.raise(to: other)
    #expect(counters.steps == before.steps)
    #expect(counters.attempts == ["preempted": 1, "crashed": 2, "hang": 1])
    #expect(counters.seconds == ["productive": 12_000, "down": 90])
  }
}
