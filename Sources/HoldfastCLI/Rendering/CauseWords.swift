import JobStore
import Vocabulary

extension AttemptRecord {
  /// A short description of its cause.
  var causeWord: String { cause == nil && running ? "running" : Self.word(ofCause: cause) }

  static func word(ofCause cause: Stored<Cause>?) -> String {
    guard let cause else { return "unknown" }
    return switch cause.word {
    case .orphaned: "killed with its supervisor"
    case .rebooted: "interrupted by a reboot"
    case .hang: "hung"
    case .oomKilled: "OOM-killed"
    case .startFailed: "not started"
    case .incomplete: "exited without finishing"
    case .keyboardInterrupt: "stopped by a keyboard interrupt"
    case .finished, .stopped, .preempted, .crashed, .killed, .terminated, nil: cause.text
    }
  }

  /// The letter of its cause in a timeline.
  var causeLetter: Character {
    switch cause?.word {
    case .orphaned: "X"
    case .startFailed: "N"
    // As in ^C. Its initial is already used by `killed`.
    case .keyboardInterrupt: "^"
    default: cause?.text.first.map { Character($0.uppercased()) } ?? "?"
    }
  }
}
