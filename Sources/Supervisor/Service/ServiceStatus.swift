import Reporting
import Supervision

/// The status line that `systemctl status` shows.
enum ServiceStatus {
  /// Position of the loop.
  struct Position {
    var step: UInt64
    var totalSteps: UInt64?
    /// From 0.
    var epoch: UInt64
    var totalEpochs: UInt64?
    var batch: UInt64
    var batchesPerEpoch: UInt64?
    var stepsPerSecond: Double?
    var metric: (name: String, value: Double)?
    /// Age of the newest durable checkpoint; nil: there is none.
    var durableAge: Duration?
  }

  static func running(_ at: Position, attempt: UInt64) -> String {
    var parts = [
      "epoch \(share(at.epoch &+ 1, at.totalEpochs))", "batch \(share(at.batch, at.batchesPerEpoch))",
      "step \(share(at.step, at.totalSteps))",
    ]
    if let rate = at.stepsPerSecond { parts.append("\(self.rate(rate)) steps/s") }
    if let (name, value) = at.metric { parts.append("\(name) \(Words.metric(value))") }
    parts.append(at.durableAge.map { "durable \(Words.duration($0)) ago" } ?? "nothing durable yet")
    parts.append("attempt \(attempt)")
    return parts.joined(separator: " · ")
  }

  private static func rate(_ value: Double) -> String {
    value >= 10
      ? Words.number(UInt64(exactly: value.rounded()) ?? .max) : Words.fixed(value, value >= 1 ? 1 : 3)
  }

  private static func share(_ value: UInt64, _ total: UInt64?) -> String {
    total.map { "\(Words.number(value))/\(Words.number($0))" } ?? Words.number(value)
  }

  static func backingOff(_ left: Duration, stalls: Int, maxStalls: Int, resume: ResumePoint) -> String {
    "backing off: next attempt in \(Words.duration(left)) · \(stalls) of \(maxStalls) attempts without "
      + "progress · \(from(resume))"
  }

  static func from(_ resume: ResumePoint) -> String { "from \(resume.words)" }

  /// - Parameter readBytes: of the resume point that the trainer waits for.
  static func verifying(_ resume: ResumePoint, readBytes: UInt64, totalBytes: UInt64) -> String {
    "verifying \(resume.words), \(Words.bytes(readBytes)) of \(Words.bytes(totalBytes))"
  }

  /// - Parameters:
  ///   - step: the step that is being made durable.
  ///   - totalBytes: 0: not known yet.
  static func publishing(step: UInt64, writtenBytes: UInt64, totalBytes: UInt64) -> String {
    let text = "making step \(Words.number(step)) durable"
    return totalBytes == 0 ? text : text + ", \(Words.bytes(writtenBytes)) of \(Words.bytes(totalBytes))"
  }
}
