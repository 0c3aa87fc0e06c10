import Glibc
import POSIX
import Reporting
import Synchronization
import Systemd
import Vocabulary

/// The supervisor's own few lines, on stderr; where that is the journal, as entries with fields.
/// Standard output belongs to the trainer.
///
/// Nothing here waits for a reader: lines go through a thread of their own, and where nobody reads them
/// for long the newest are dropped and counted.
enum Console {
  /// One line for the user, and what a program may want to know of it.
  struct Entry {
    var text: String
    var isWarning = false
    var kind: EventKind?
    var attempt: UInt64?
    var step: UInt64?
    /// Further fields, for the journal only.
    var fields: [(name: String, value: String)] = []
    /// Further lines of the message, for the journal only: on a terminal the trainer has said them.
    var furtherLines: String?
  }

  private static let job = Mutex<String?>(nil)
  private static let isJournal = Journal.isStream(STDERR_FILENO)

  /// Names the job that every further entry of this process is about.
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

  /// Waits until all that was written is out, for at most `timeout`.
  static func flush(timeout: Duration) { queue.flush(timeout: timeout) }

  private static let queue = LineQueue()

  private static func print(_ entry: Entry) {
    if isJournal {
      do {
        return try Journal.send(fields(entry))
      } catch {
        // A plain line may still come through: journald holds its other end.
      }
    }
    write("holdfast: \(entry.isWarning ? "warning: " : "")\(VisibleText.line(entry.text))\n")
  }

  static func fields(_ entry: Entry) -> [(name: String, value: String)] {
    var priority = entry.kind?.priority ?? .info
    if entry.isWarning, priority != .error { priority = .warning }
    // Other fields have the exact text: journalctl shows a message with an escape code in it as a blob.
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

  /// One write(2) a line, so that lines of trainer and supervisor do not mix.
  private static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      // Nowhere is left to say that stderr is closed.
      _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
  }
}
