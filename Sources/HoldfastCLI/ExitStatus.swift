/// Every status that `holdfast` exits with. 64 to 78 are those of sysexits.h.
enum ExitStatus: Int32, CaseIterable {
  /// The job finished, or the question was answered.
  case success = 0
  /// `status --check`: the job is not running, and can be resumed.
  case checkStopped = 3
  /// `--require-identical`: the job finished, and steps that were made again differed.
  case deviates = 4
  /// `status --check`: running, but something is degraded.
  case checkDegraded = 5
  /// The command line is wrong; nothing was touched.
  case usage = 64
  /// A store or a checkpoint is damaged.
  case damaged = 65
  /// There is no such job or checkpoint.
  case missing = 66
  /// Gave up: attempts make no progress any more.
  case gaveUp = 69
  /// A defect of holdfast.
  case `internal` = 70
  /// The job is supervised already, or its directories cannot be made.
  case cannotCreate = 73
  /// The disk failed or is full.
  case io = 74
  /// Stopped; the next start resumes.
  case stopped = 75
  /// A state directory of a newer format, or settings that cannot be.
  case configuration = 78
  /// The trainer's command is not executable.
  case notExecutable = 126
  /// The trainer's command was not found.
  case notFound = 127
}
