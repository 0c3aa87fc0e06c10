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
    if status.pace.silence != nil, let newest = status.newest {
      text += ", no step since \(LocalTime.clock(newest.timeNs))"
    }
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
