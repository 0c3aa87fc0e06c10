import Glibc
import POSIX
import Reporting
import Synchronization
import Systemd
import Vocabulary

/// The supervisor's own lines on stderr; if that is the journal, entries with fields. Standard output belongs to the
/// trainer.
///
/// Callers never wait for a reader: a separate thread writes the lines. If they are not read, the newest are dropped
/// and counted.
enum Console {
  /// One line for the user, with fields for programs.
  struct Entry {
    var text: String
    var isWarning = false
    var kind: EventKind?
    var attempt: UInt64?
    var step: UInt64?
    /// Further fields, for the journal only.
    var fields: [(name: String, value: String)] = []
    /// Further lines of the message, for the journal only: on a terminal the trainer has printed them.
    var furtherLines: String?
  }

  private static let job = Mutex<String?>(nil)
  private static let isJournal = Journal.isStream(STDERR_FILENO)

  /// Sets the job of all further entries of this process.
  static func begin(job name: String) { job.withLock { $0 = name } }

  static func line(_ text: String, _ kind: EventKind? = nil) { write(Entry(text: text, kind: kind)) }
  static func warning(_ text: String, _ kind: EventKind? = nil) {
    write(Entry(text: text, isWarning: true, kind: kind))
  }

  static func write(_ entry: Entry) {
    queue.append { dropped in
      if dropped > 0 {
        print(
          Entry(text: "\(Words.count(dropped, "line")) dropped: standard error was not read", isWarning: true)
        )
      }
      print(entry)
    }
  }

  /// Waits at most `timeout` until all entries are written.
  static func flush(timeout: Duration) { queue.flush(timeout: timeout) }

  private static let queue = LineQueue()

  private static func print(_ entry: Entry) {
    if isJournal {
      do {
        return try Journal.send(fields(entry))
      } catch {
        // A plain line may still get through, since journald reads the stream.
      }
    }
    write("holdfast: \(entry.isWarning ? "warning: " : "")\(VisibleText.line(entry.text))\n")
  }

  static func fields(_ entry: Entry) -> [(name: String, value: String)] {
    var priority = entry.kind?.priority ?? .info
    if entry.isWarning, priority != .error { priority = .warning }
    // Other fields have the exact text. journalctl shows a MESSAGE with escape codes as a blob.
    let further = entry.furtherLines.map { VisibleText.lines($0).map { "\n" + $0 }.joined() } ?? ""
    let message = VisibleText.line(entry.text) + further
    var fields = [
      ("MESSAGE", message), ("PRIORITY", "\(priority.rawValue)"), ("SYSLOG_IDENTIFIER", "holdfast"),
    ]
    if let kind = entry.kind {
      fields += [("MESSAGE_ID", kind.messageID), ("HOLDFAST_KIND", kind.rawValue)]
    }
    if let job = job.withLock({ $0 }) { fields.append(("HOLDFAST_JOB", job)) }
    if let attempt = entry.attempt { fields.append(("HOLDFAST_ATTEMPT", "\(attempt)")) }
    if let step = entry.step { fields.append(("HOLDFAST_STEP", "\(step)")) }
    return fields + entry.fields
  }

  /// One write(2) per line, so that lines of trainer and supervisor do not mix.
  private static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      // If stderr is closed, that cannot be reported anywhere.
      _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}
