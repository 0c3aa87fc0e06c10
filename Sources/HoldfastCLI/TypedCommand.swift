import Reporting

/// The command that the user typed, for hints that repeat it: with its job and options, as without them it would be
/// another command.
enum TypedCommand {
  /// - Parameter option: a flag, placed before `--`, after which it would be an argument.
  static func adding(_ option: String, to words: [String] = CommandLine.arguments) -> Hint {
    var words = ["holdfast"] + words.dropFirst()
    if !words.contains(option) { words.insert(option, at: words.firstIndex(of: "--") ?? words.count) }
    return Hint(command: words)
  }
}
