/// Every status that `holdfast` exits with. 64 to 78 are those of sysexits.h.
enum ExitStatus: Int32, CaseIterable {
  /// The job finished, or the command succeeded.
  case success = 0
  /// `status --check`: the job is not running and can be resumed.
  case checkStopped = 3
  /// `--require-identical`: the job finished, but replayed steps differed.
  case deviates = 4
  /// `status --check`: running, but something is degraded.
  case checkDegraded = 5
  /// Invalid command line; nothing was changed.
  case usage = 64
  /// A store or a checkpoint is damaged.
  case damaged = 65
  /// No such job or checkpoint.
  case missing = 66
  /// Gave up: attempts made no progress.
  case gaveUp = 69
  /// A defect of holdfast.
  case `internal` = 70
  /// The job is already supervised, or its directories cannot be created.
  case cannotCreate = 73
  /// The disk failed or is full.
  case io = 74
  /// Stopped; the next start resumes.
  case stopped = 75
  /// A state directory of a newer format, or invalid settings.
  case configuration = 78
  /// The trainer's command is not executable.
  case notExecutable = 126
  /// The trainer's command was not found.
  case notFound = 127
}
