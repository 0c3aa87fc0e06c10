import JobStore
import POSIX
import Vocabulary

/// What does not work at present, one reason for each kind. Logged once when it begins and once when it is over;
/// `status` shows the newest reason of each.
final class Degradations {
  private(set) var reasons: [String: String] = [:]
  private let events: EventLog
  private let runDirectory: RunDirectory
  /// Called when there are others.
  var changed: () -> Void = {}

  init(_ events: EventLog, _ runDirectory: RunDirectory) {
    self.events = events
    self.runDirectory = runDirectory
  }

  var texts: [String] { reasons.sorted { $0.key < $1.key }.map(\.value) }

  func begin(_ kind: String, _ text: String, step: UInt64? = nil) {
    let isNew = reasons[kind] == nil
    guard reasons.updateValue(text, forKey: kind) != text else { return }
    if isNew { events.log(.degraded, text, isWarning: true, step: step) }
    persist()
  }

  func end(_ kind: String, _ text: String) {
    guard reasons.removeValue(forKey: kind) != nil else { return }
    events.log(.recovered, text)
    persist()
  }

  /// One that has an event of its own.
  /// - Parameter text: nil: it is over.
  func set(_ kind: String, _ text: String?) {
    reasons[kind] = text
    persist()
  }

  /// Those that cannot outlive an attempt. What is about to be persisted says so too.
  func clear(_ kinds: String...) { for kind in kinds { reasons[kind] = nil } }

  /// In memory as well: a store that cannot be written cannot say so itself.
  func persist() {
    changed()
    // Not into what takes its place.
    guard runDirectory.displacement == nil else { return }
    do {
      try LiveRecord.keepDegraded(reasons, in: runDirectory.path)
    } catch {
      Console.warning("cannot write to the run directory: \(error)")
    }
  }
}
