// The metrics of a job. Dashboards use their names, so published names do not change.
extension JobFacts {
  /// Limit of the trainer's own metrics, as each is a series in the database. The rest is left out.
  static let trainerMetricLimit = 1000

  /// The facts in Prometheus' format.
  /// - Parameter nowNs: the time for computing ages.
  public func text(nowNs: UInt64) -> String {
    var text = Exposition(common: [("job", job)])
    addState(&text)
    addProgress(&text, nowNs)
    addCounters(&text)
    text.add(
      "holdfast_trainer_metric", .gauge, "Metrics that the trainer reported for the newest step, by name.",
      trainerMetrics.prefix(Self.trainerMetricLimit).map {
        ([("name", $0.name)], Exposition.text($0.value))
      })
    return text.text
  }

  private func addState(_ text: inout Exposition) {
    text.add(
      "holdfast_info", .gauge, "The supervisor's version and the job's id.",
      [([("version", version), ("job_id", jobID)], "1")])
    text.add(
      "holdfast_up", .gauge,
      "Whether the job is supervised; 0 is the last value before the supervisor exits.",
      isSupervised ? "1" : "0")
    text.add(
      "holdfast_facts_timestamp_seconds", .gauge,
      "When the supervisor's loop last updated these metrics, in seconds since 1970.",
      Exposition.text(Double(gatheredAtNs / 1_000_000) / 1000))
    text.add(
      "holdfast_trainer_up", .gauge, "Whether an attempt is running.", trainerIsRunning ? "1" : "0")
    text.add(
      "holdfast_trainer_resident_bytes", .gauge, "Resident memory of the trainer's process.",
      residentBytes.map { "\($0)" })
    text.add("holdfast_attempt", .gauge, "Number of the newest attempt.", attempt.map { "\($0)" })
    text.add(
      "holdfast_stalled_attempts", .gauge, "Consecutive attempts without progress.", "\(stalls)")
    text.add(
      "holdfast_degradations", .gauge, "Number of reasons why the job is degraded; 0 is healthy.",
      "\(degradations)")
  }

  private func addProgress(_ text: inout Exposition, _ nowNs: UInt64) {
    text.add("holdfast_step", .gauge, "The newest recorded step.", step.map { "\($0)" })
    text.add("holdfast_target_step", .gauge, "The job's last step.", totalSteps.map { "\($0)" })
    text.add(
      "holdfast_last_step_age_seconds", .gauge, "Time since the running attempt made its newest step.",
      age(steppedAtNs, nowNs))
    text.add(
      "holdfast_checkpoint_step", .gauge, "Step of the newest checkpoint of each level.",
      checkpoints.map { ([("level", $0.level)], "\($0.step)") })
    text.add(
      "holdfast_last_durable_checkpoint_age_seconds", .gauge,
      "Age of the newest durable checkpoint that is not damaged.",
      age(durableAtNs, nowNs))
    text.add(
      "holdfast_goodput_ratio", .gauge,
      "Share of the wall time since the first attempt that was spent on steps that count.",
      goodput.map { Exposition.text($0) })
  }

  /// In seconds.
  private func age(_ timeNs: UInt64?, _ nowNs: UInt64) -> String? {
    timeNs.map { Exposition.text(Double(nowNs > $0 ? (nowNs - $0) / 1_000_000 : 0) / 1000) }
  }

  private func addCounters(_ text: inout Exposition) {
    text.add(
      "holdfast_steps_total", .counter, "Recorded steps, including replayed ones.", "\(counters.steps)")
    text.add(
      "holdfast_replayed_steps_total", .counter, "Steps replayed after a resume.",
      "\(counters.replayedSteps)")
    text.add(
      "holdfast_attempts_total", .counter, "Attempts that ended, by cause.", Self.samples(counters.attempts))
    text.add(
      "holdfast_restarts_total", .counter, "Attempts that followed another, by cause of the other's end.",
      Self.samples(counters.restarts))
    text.add(
      "holdfast_time_seconds_total", .counter, "Wall time since the first attempt, by category.",
      counters.seconds.sorted { $0.key < $1.key }.map { ([("kind", $0.key)], Exposition.text($0.value)) })
    text.add(
      "holdfast_ring_skipped_records_total", .counter,
      "Records that the trainer dropped because the ring was full.", "\(counters.skippedRecords)")
    text.add(
      "holdfast_step_duration_seconds",
      "Time from the end of a step to the end of the next, including saves.",
      stepDurations)
  }

  private static func samples(_ values: [String: UInt64]) -> [(labels: Exposition.Labels, value: String)] {
    values.sorted { $0.key < $1.key }.map { ([("cause", $0.key)], "\($0.value)") }
  }
}
