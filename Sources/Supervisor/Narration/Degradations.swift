import JobStore
import POSIX
import Vocabulary

/// Current degradations, one reason for each kind. Logged once when one begins and once when it is over; `status`
/// shows the newest reason of each kind.
final class Degradations {
  private(set) var reasons: [String: String] = [:]
  private let events: EventLog
  private let runDirectory: RunDirectory
  /// Called after each change.
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

  /// Sets a degradation that has its own event.
  /// - Parameter text: nil: the degradation is over.
  func set(_ kind: String, _ text: String?) {
    reasons[kind] = text
    persist()
  }

  /// Removes those that end with an attempt. The caller persists this.
  func clear(_ kinds: String...) { for kind in kinds { reasons[kind] = nil } }

  /// Also in the run directory: a store that cannot be written cannot record that itself.
  func persist() {
    changed()
    // Never into a directory that replaced it.
    guard runDirectory.displacement == nil else { return }
    do {
      try LiveRecord.writeDegraded(reasons, in: runDirectory.path)
    } catch {
      Console.warning("cannot write to the run directory: \(error)")
    }
  }
}
