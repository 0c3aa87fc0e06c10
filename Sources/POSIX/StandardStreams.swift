import Glibc
import Reporting

/// Descriptors 0 to 2, which may be closed at the start (`holdfast run … >&-`).
public enum StandardStreams {
  /// Opens `/dev/null` for each closed one. Call this before any other file is opened: that file would become
  /// standard output, and the trainer's output would overwrite it.
  public static func fillClosed() {
    var descriptor: CInt = 0
    // open(2) returns the lowest free number. A missing /dev/null can neither be handled nor reported here.
    while (0...2).contains(descriptor) { descriptor = open("/dev/null", O_RDWR | O_NOCTTY) }
    if descriptor > 2 { close(descriptor) }
  }

  /// Prints one line on standard error; nothing is done if that fails.
  public static func warn(_ line: String) {
    let bytes = Array((VisibleText.line(line) + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
