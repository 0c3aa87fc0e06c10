import Glibc
import JobStore
import POSIX
import Reporting
import Supervisor
import Vocabulary

/// Switches the terminal to reading single keys until it is restored.
final class RawTerminal {
  private var saved = termios()
  private let isTerminal: Bool
  private let signals: SignalSource?

  init() {
    isTerminal = tcgetattr(STDIN_FILENO, &saved) == 0
    if isTerminal { Self.disableLineBuffering(saved) }
    // After tcsetattr(3), which stops a background process, again after each SIGCONT: with signals already
    // blocked, none could end the process.
    signals = try? SignalSource([SIGINT, SIGTERM, SIGHUP])
  }

  private static func disableLineBuffering(_ saved: termios) {
    var raw = saved
    // Ctrl-C is read as a key: as a signal, it would end the process before the terminal is restored.
    raw.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
  }

  /// Not in the background: there, another process has set the terminal's mode.
  func restore() {
    guard isTerminal, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
    tcsetattr(STDIN_FILENO, TCSANOW, &saved)
  }

  /// - Returns: whether `q` or Ctrl-C was pressed, or a signal received, within the time.
  func waitForQuit(seconds: Int32) -> Bool {
    var sources = [pollfd(fd: isTerminal ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0)]
    // The terminal must be restored after a signal, too.
    if let signals { sources.append(pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)) }
    guard poll(&sources, nfds_t(sources.count), seconds * 1000) > 0 else { return false }
    if sources.dropFirst().contains(where: { $0.revents != 0 }) { return true }
    var key: UInt8 = 0
    return read(STDIN_FILENO, &key, 1) == 1 && (key == UInt8(ascii: "q") || key == 3)
  }
}
