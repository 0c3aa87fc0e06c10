import Glibc
import JobStore
import POSIX
import Reporting
import Supervisor
import Vocabulary

/// `status --watch`: redraws the screen on a terminal, prints a line for each change elsewhere.
struct Watch {
  let job: JobOptions
  let wantsJSON: Bool

  init(_ job: JobOptions, wantsJSON: Bool) {
    self.job = job
    self.wantsJSON = wantsJSON
  }

  func run() throws {
    let reader = try job.open()
    let output = Output.standard
    if output.canRedraw, !wantsJSON { return try redraw(reader, output) }
    var last = ""
    while true {
      let status = try JobStatus(reader)
      let line = Self.line(status)
      // JSON is printed every time, as its rates always change.
      if wantsJSON { output.json(status.json) } else if line != last { output.line(line) }
      last = line
      // No more changes will follow.
      if status.state == .finished || status.state == .gaveUp { return }
      sleep(2)
    }
  }

  private static func line(_ status: JobStatus) -> String {
    var text = "\(status.name): \(status.state.words)"
    if let newest = status.newest { text += ", step \(Words.number(newest.step))" }
    for (name, value) in status.metrics.prefix(1) { text += ", \(name) \(Words.metric(value))" }
    if let attempt = status.attempts.newest { text += ", attempt \(attempt.attempt)" }
    return text
  }

  private func redraw(_ reader: JobReader, _ output: Output) throws {
    let terminal = RawTerminal()
    defer { terminal.restore() }
    while true {
      let status = try JobStatus(reader)
      let size = Terminal.size(of: STDOUT_FILENO) ?? Terminal.Size(columns: 80, rows: 24)
      let lines = WatchScreen(
        status: status,
        attempts: try reader.store.attempts.newest(WatchScreen.attemptCount).map {
          $0.updated(to: status.newest)
        }, run: try reader.store.sampledSnapshots(200),
        recent: try reader.store.newestSnapshots(2000), output: output, size: size
      ).lines
      output.redraw(lines, columns: size.columns)
      if terminal.waitForQuit(seconds: 2) { return }
    }
  }
}

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
