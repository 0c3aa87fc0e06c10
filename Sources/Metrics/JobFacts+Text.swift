// The metrics of a job, by name. A name, once published, is in somebody's dashboards: none is changed.
extension JobFacts {
  /// More of the trainer's own metrics than these are left out: each is a series in a database.
  static let trainerMetricLimit = 1000

  /// The facts as Prometheus reads them.
  /// - Parameter nowNs: ages are counted up to then.
  public func text(nowNs: UInt64) -> String {
    var text = Exposition(common: [("job", job)])
    addState(&text)
    addProgress(&text, nowNs)
    addCounters(&text)
    text.add(
      "holdfast_trainer_metric", .gauge, "What the trainer reports of the newest step, by its own names.",
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
      "holdfast_up", .gauge, "Whether the job is supervised; 0 is the last word of a supervisor that left.",
      isSupervised ? "1" : "0")
    text.add(
      "holdfast_facts_timestamp_seconds", .gauge,
      "When the supervisor's loop last said how things are, in seconds since 1970.",
      Exposition.text(Double(gatheredAtNs / 1_000_000) / 1000))
    text.add(
      "holdfast_trainer_up", .gauge, "Whether an attempt is running.", trainerIsRunning ? "1" : "0")
    text.add(
      "holdfast_trainer_resident_bytes", .gauge, "Resident memory of the trainer's process.",
      residentBytes.map { "\($0)" })
    text.add("holdfast_attempt", .gauge, "Number of the newest attempt.", attempt.map { "\($0)" })
    text.add(
      "holdfast_stalled_attempts", .gauge, "Attempts in a row that made no progress.", "\(stalls)")
    text.add(
      "holdfast_degradations", .gauge, "Reasons for which the job is degraded; 0 is healthy.",
      "\(degradations)")
  }

  private func addProgress(_ text: inout Exposition, _ nowNs: UInt64) {
    text.add("holdfast_step", .gauge, "The newest recorded step.", step.map { "\($0)" })
    text.add("holdfast_target_step", .gauge, "The job's last step.", totalSteps.map { "\($0)" })
    text.add(
      "holdfast_checkpoint_step", .gauge, "Step of the newest checkpoint of each level.",
      checkpoints.map { ([("level", $0.level)], "\($0.step)") })
    text.add(
      "holdfast_last_durable_checkpoint_age_seconds", .gauge,
      "Since the newest durable checkpoint that is not damaged.",
      durableAtNs.map { Exposition.text(Double(nowNs > $0 ? (nowNs - $0) / 1_000_000 : 0) / 1000) })
    text.add(
      "holdfast_goodput_ratio", .gauge,
      "Share of the wall time since the first attempt that steps took which count.",
      goodput.map { Exposition.text($0) })
  }

  private func addCounters(_ text: inout Exposition) {
    text.add(
      "holdfast_steps_total", .counter, "Recorded steps, those made again included.", "\(counters.steps)")
    text.add(
      "holdfast_replayed_steps_total", .counter, "Steps that were made again after a resume.",
      "\(counters.replayedSteps)")
    text.add(
      "holdfast_attempts_total", .counter, "Attempts that ended, by cause.", Self.samples(counters.attempts))
    text.add(
      "holdfast_restarts_total", .counter, "Attempts that followed another, by the cause of that one's end.",
      Self.samples(counters.restarts))
    text.add(
      "holdfast_time_seconds_total", .counter, "Wall time since the first attempt, by what it went to.",
      counters.seconds.sorted { $0.key < $1.key }.map { ([("kind", $0.key)], Exposition.text($0.value)) })
    text.add(
      "holdfast_ring_skipped_records_total", .counter,
      "Records that the trainer left out because the ring was full.", "\(counters.skippedRecords)")
    text.add(
      "holdfast_step_duration_seconds", "From the end of a step to the end of the next, saves included.",
      stepDurations)
  }

  private static func samples(_ values: [String: UInt64]) -> [(labels: Exposition.Labels, value: String)] {
    values.sorted { $0.key < $1.key }.map { ([("cause", $0.key)], "\($0.value)") }
  }
}
