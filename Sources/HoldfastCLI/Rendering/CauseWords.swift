import JobStore
import Vocabulary

extension AttemptRecord {
  /// Its cause in a word that fits into a list.
  var causeWord: String { cause == nil && running ? "running" : Self.word(ofCause: cause) }

  static func word(ofCause cause: Stored<Cause>?) -> String {
    guard let cause else { return "unknown" }
    return switch cause.word {
    case .orphaned: "cut off with its supervisor"
    case .rebooted: "cut off by a reboot"
    case .hang: "hung"
    case .oomKilled: "OOM-killed"
    case .startFailed: "not started"
    case .incomplete: "exited without finishing"
    case .keyboardInterrupt: "stopped by a keyboard interrupt"
    case .finished, .stopped, .preempted, .crashed, .killed, .terminated, nil: cause.text
    }
  }

  /// Its cause in a letter, for a line of time.
  var causeLetter: Character {
    switch cause?.word {
    case .orphaned: "X"
    case .startFailed: "N"
    // As a terminal shows it: ^C. Its own first letter is that of `killed`.
    case .keyboardInterrupt: "^"
    default: cause?.text.first.map { Character($0.uppercased()) } ?? "?"
    }
  }
}
