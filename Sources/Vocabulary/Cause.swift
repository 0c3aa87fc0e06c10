/// Why an attempt ended. Stored and shown as JSON: the raw values never change.
public enum Cause: String, Hashable, Sendable, CaseIterable {
  case finished = "finished"
  case stopped = "stopped"
  /// The trainer alone was interrupted (Ctrl-C in a notebook, `kill -INT`), which counts as a stop. Not
  /// `interrupted`, which is a state of the job.
  case keyboardInterrupt = "keyboard_interrupt"
  /// Stopped because of a preemption notice.
  case preempted = "preempted"
  case crashed = "crashed"
  case killed = "killed"
  /// Killed by the kernel because memory ran out.
  case oomKilled = "oom_killed"
  case terminated = "terminated"
  case hang = "hang"
  /// Exit 0 of a trainer that uses the protocol and did not call `finish`.
  case incomplete = "incomplete"
  /// Its supervisor died.
  case orphaned = "orphaned"
  /// The machine restarted.
  case rebooted = "rebooted"
  /// The trainer could not be started.
  case startFailed = "start_failed"

  /// A stop that was asked for: not a failure, and not charged to the restart budget.
  public var isStop: Bool { [.stopped, .preempted, .keyboardInterrupt].contains(self) }

  public var outcome: Outcome { self == .finished ? .finished : isStop ? .stopped : .failed }
}
