/// What the supervisor of a job is doing, or how it ended, as stored in the `live` record. Stored: the raw values never
/// change.
public enum SupervisorState: String, Hashable, Sendable, CaseIterable {
  case idle = "idle"
  case starting = "starting"
  case running = "running"
  case saving = "saving"
  case terminating = "terminating"
  case clearing = "clearing"
  case backingOff = "backingOff"
  case settling = "settling"
  case done = "done"
  case finished = "finished"
  case stopped = "stopped"
  case gaveUp = "gave_up"
  case failed = "failed"
}
