import Reporting
import Supervision

/// The output of the user's notice program, one notice a line:
///
///     preempt SECONDS [TEXT]   the machine will be preempted in SECONDS
///     rebalance [TEXT]         it may be preempted
///     cancel                   the preemption was cancelled
///
/// Empty lines and lines that begin with # are ignored.
enum NoticeLine {
  static let longest = 4096

  static func read(_ line: String, source: String) throws(PreemptionError) -> NoticeReport? {
    let words = line.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
    guard let word = words.first, !word.hasPrefix("#") else { return nil }
    let rest = words.dropFirst().first ?? ""
    switch word {
    case "preempt":
      let parts = rest.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
      guard let number = parts.first, let seconds = Double(number), seconds >= 0, seconds <= 1_000_000 else {
        throw wrong(line)
      }
      return .notice(
        PreemptionNotice(
          source: source, action: text(parts.dropFirst().first ?? "preempt"), longestLead: .seconds(seconds)))
    case "rebalance":
      return .warning(source: source, text: rest.isEmpty ? "this machine may be preempted" : text(rest))
    case "cancel":
      guard rest.isEmpty else { throw wrong(line) }
      return .cancelled()
    default:
      throw wrong(line)
    }
  }

  /// Without control characters, and shortened, for one line of the log.
  private static func text(_ text: Substring) -> String {
    String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) }.prefix(200))
  }

  private static func wrong(_ line: String) -> PreemptionError {
    PreemptionError(
      .program, "invalid notice '\(text(Substring(line.prefix(60))))'",
      hint: "preempt SECONDS [TEXT], rebalance [TEXT] or cancel")
  }
}
