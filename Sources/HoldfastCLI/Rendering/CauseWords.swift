import JobStore

extension AttemptRecord {
  /// Its cause in a word that fits into a list.
  var causeWord: String { cause == nil && running ? "running" : Self.word(ofCause: cause ?? "") }

  /// - Parameter cause: empty: there is none.
  static func word(ofCause cause: String) -> String {
    switch cause {
    case "orphaned": "cut off with its supervisor"
    case "rebooted": "cut off by a reboot"
    case "hang": "hung"
    case "oom_killed": "OOM-killed"
    case "start_failed": "not started"
    case "incomplete": "exited without finishing"
    case "keyboard_interrupt": "stopped by a keyboard interrupt"
    case "": "unknown"
    default: cause
    }
  }

  /// Its cause in a letter, for a line of time.
  var causeLetter: Character {
    switch cause {
    case "orphaned": "X"
    case "start_failed": "N"
    // As a terminal shows it: ^C. Its own first letter is that of `killed`.
    case "keyboard_interrupt": "^"
    case let cause?: cause.first.map { Character($0.uppercased()) } ?? "?"
    case nil: "?"
    }
  }
}
