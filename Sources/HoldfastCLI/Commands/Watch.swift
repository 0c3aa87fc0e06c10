import Glibc
import JobStore
import POSIX
import Reporting
import Supervisor
import Vocabulary

/// `status --watch`: the screen again and again on a terminal, a line for each change elsewhere.
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
      // JSON lines come at every turn: their rates change even where nothing else does.
      if wantsJSON { output.json(status.json) } else if line != last { output.line(line) }
      last = line
      // Nothing more comes of itself.
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
          $0.brought(upTo: status.newest)
        }, run: try reader.store.sampledSnapshots(200),
        recent: try reader.store.newestSnapshots(2000), output: output, size: size
      ).lines
      output.redraw(lines, columns: size.columns)
      if terminal.waitsForQuit(seconds: 2) { return }
    }
  }
}

/// The terminal in a mode in which a key is read at once, until it is restored.
final class RawTerminal {
  private var saved = termios()
  private let isTerminal: Bool
  private let signals: SignalSource?

  init() {
    isTerminal = tcgetattr(STDIN_FILENO, &saved) == 0
    if isTerminal { Self.readKeysAtOnce(saved) }
    // Only now: in the background tcsetattr(3) stops us, again after each SIGCONT, and a signal that is
    // blocked by then would never end us.
    signals = try? SignalSource([SIGINT, SIGTERM, SIGHUP])
  }

  private static func readKeysAtOnce(_ saved: termios) {
    var raw = saved
    // Ctrl-C as a key too: as a signal it would end us before the terminal is restored.
    raw.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
  }

  /// In the background the terminal is someone else's, who has set it as he wants it.
  func restore() {
    guard isTerminal, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
    tcsetattr(STDIN_FILENO, TCSANOW, &saved)
  }

  /// - Returns: whether `q` was pressed, or Ctrl-C, within the time.
  func waitsForQuit(seconds: Int32) -> Bool {
    var sources = [pollfd(fd: isTerminal ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0)]
    // Whoever sends a signal wants the terminal back as well.
    if let signals { sources.append(pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)) }
    guard poll(&sources, nfds_t(sources.count), seconds * 1000) > 0 else { return false }
    if sources.dropFirst().contains(where: { $0.revents != 0 }) { return true }
    var key: UInt8 = 0
    return read(STDIN_FILENO, &key, 1) == 1 && (key == UInt8(ascii: "q") || key == 3)
  }
}
