/// State of a job, as `status` shows it. Shown as JSON: the raw values never change.
public enum JobState: String, Hashable, Sendable, CaseIterable {
  case new = "new"
  case starting = "starting"
  case running = "running"
  case saving = "saving"
  case stopping = "stopping"
  /// Waiting before the next attempt.
  case backingOff = "backing_off"
  case finished = "finished"
  case stopped = "stopped"
  /// The supervisor ended without recording it: it was killed, or the machine stopped.
  case interrupted = "interrupted"
  case failed = "failed"
  case gaveUp = "gave_up"
}
