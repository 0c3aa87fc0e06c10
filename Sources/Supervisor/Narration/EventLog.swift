import JobStore
import POSIX
import Reporting
import TrainerProtocol
import Vocabulary

/// Logs events of the job: a line on standard error (in the journal an entry with fields), and an event in the store.
final class EventLog {
  private let writer: StoreWriter
  private let attempt: AttemptRecorder

  /// - Parameter attempt: whose number and step the entries get.
  init(_ writer: StoreWriter, _ attempt: AttemptRecorder) {
    self.writer = writer
    self.attempt = attempt
  }

  /// - Parameter step: nil: the newest step of the attempt.
  func log(_ kind: EventKind, _ text: String, isWarning: Bool = false, step: UInt64? = nil) {
    let record = attempt.record
    var entry = Console.Entry(
      text: text, isWarning: isWarning, kind: kind, attempt: record.attempt, step: step ?? record.lastStep)
    if kind == .attemptEnded { entry.describe(record) }
    Console.write(entry)
    writer.submit([
      .event(
        EventRecord(
          timeNs: Clock.wallNanoseconds, kind: Stored(kind), attempt: record.attempt,
          step: step ?? record.lastStep, isWarning: isWarning, message: text))
    ])
  }
}

extension Console.Entry {
  /// Adds all that is known about the end of an attempt.
  fileprivate mutating func describe(_ attempt: AttemptRecord) {
    if let cause = attempt.cause { fields.append(("HOLDFAST_CAUSE", cause.text)) }
    if let signal = attempt.signal { fields.append(("HOLDFAST_SIGNAL", Words.signal(signal))) }
    if let status = attempt.exitStatus { fields.append(("HOLDFAST_EXIT_STATUS", "\(status)")) }
    if let kills = attempt.oomKills { fields.append(("HOLDFAST_OOM_KILLS", "\(kills)")) }
    if let traceback = attempt.failure?.traceback {
      fields.append(("HOLDFAST_TRACEBACK", traceback))
      furtherLines = traceback
    }
  }
}
