import Glibc

/// The supervisor's own few lines, on stderr. Standard output belongs to the trainer.
enum Console {
  static func line(_ text: String) { write("holdfast: \(text)\n") }
  static func warning(_ text: String) { write("holdfast: warning: \(text)\n") }

  /// One write(2) a line, so that lines of trainer and supervisor do not mix.
  private static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      // Nowhere is left to say that stderr is closed.
      _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}
