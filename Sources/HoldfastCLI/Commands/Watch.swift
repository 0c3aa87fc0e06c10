import Glibc
import JobStore
import Supervisor

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
    if output.isTerminal, !wantsJSON { return try redraw(reader, output) }
    var last = ""
    while true {
      let status = try JobStatus(reader)
      let line = wantsJSON ? status.json.text : Self.line(status)
      // JSON lines come at every turn: their rates change even where nothing else does.
      if wantsJSON || line != last { output.line(line) }
      last = line
      if status.state == .finished { return }
      sleep(2)
    }
  }

  private static func line(_ status: JobStatus) -> String {
    var text = "\(status.name): \(status.state.words)"
    if let newest = status.newest { text += ", step \(Words.number(newest.step))" }
    for (name, value) in status.metrics.prefix(1) { text += ", \(name) \(Words.metric(value))" }
    if let attempt = status.attempts.last { text += ", attempt \(attempt.attempt)" }
    return text
  }

  private func redraw(_ reader: JobReader, _ output: Output) throws {
    let terminal = RawTerminal()
    defer { terminal.restore() }
    while true {
      let status = try JobStatus(reader)
      let title = output.paint("\(status.name)  \(Text.clock(status.nowNs))  every 2 s  q quits", .faint)
      var lines = [title] + status.text(output)
      lines += try Sparkline.lines(reader.store, status, output)
      // Each line clears its own rest: a screen cleared first would flicker.
      let screen = "\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n") + "\r\n\u{1b}[J"
      fputs(screen, nil)
      if terminal.waitsForQuit(seconds: 2) { return }
    }
  }

  private func fputs(_ text: String, _: Void?) {
    var bytes = Array(text.utf8)
    _ = write(STDOUT_FILENO, &bytes, bytes.count)
  }
}

/// The terminal in a mode in which a key is read at once, until it is restored.
final class RawTerminal {
  private var saved = termios()
  private let isTerminal: Bool

  init() {
    isTerminal = tcgetattr(STDIN_FILENO, &saved) == 0
    guard isTerminal else { return }
    var raw = saved
    raw.c_lflag &= ~tcflag_t(ECHO | ICANON)
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
  }

  func restore() {
    if isTerminal { tcsetattr(STDIN_FILENO, TCSANOW, &saved) }
  }

  /// - Returns: whether `q` was pressed, or Ctrl-C, within the time.
  func waitsForQuit(seconds: Int32) -> Bool {
    var mask = sigset_t()
    sigemptyset(&mask)
    var source = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard isTerminal, poll(&source, 1, seconds * 1000) > 0 else {
      if !isTerminal { sleep(UInt32(seconds)) }
      return false
    }
    var key: UInt8 = 0
    return read(STDIN_FILENO, &key, 1) == 1 && (key == UInt8(ascii: "q") || key == 3)
  }
}
