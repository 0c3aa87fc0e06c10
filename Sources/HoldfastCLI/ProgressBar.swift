import Glibc
import Reporting
import Storage
import Synchronization

/// Shows the progress of a transfer on standard error, if that is a terminal.
final class ProgressBar: Sendable {
  private let title: String
  private let isShown: Bool
  private let percent = Mutex<UInt64?>(nil)

  init(_ title: String, isShown: Bool) {
    self.title = title
    self.isShown = isShown && isatty(STDERR_FILENO) == 1
  }

  func show(_ progress: Transfer.Progress) {
    guard isShown, progress.totalBytes > 0 else { return }
    let now = progress.completedBytes * 100 / progress.totalBytes
    let isNew = percent.withLock { percent in
      defer { percent = now }
      return percent != now
    }
    guard isNew else { return }
    let filled = Int(now / 4)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 25 - filled)
    write("\r\(title)  [\(bar)] \(now) % of \(Words.bytes(progress.totalBytes))")
  }

  func end() {
    guard isShown, percent.withLock({ $0 }) != nil else { return }
    write("\r\u{1b}[K")
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
