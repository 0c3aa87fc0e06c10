import JobFile
import POSIX
import Reporting
import Supervisor
import Synchronization
import SystemPackage

/// Reloads a job's configuration file for a running supervisor and describes the changes.
final class Reloader: Sendable {
  private let file: FilePath
  private let arguments: [Resolution.Argument]
  private let needsCommand: Bool
  /// From the last reload, including changes for the next start.
  private let known: Mutex<Resolution>

  init(_ job: ResolvedJob, file: FilePath, arguments: [Resolution.Argument], command: [String]) {
    self.file = file
    self.arguments = arguments + (command.isEmpty ? [] : [Resolution.Argument(command: command)])
    needsCommand = command.isEmpty
    known = Mutex(job.resolution)
  }

  func reload() -> Reload {
    let new: Resolution
    do {
      new = Resolution(file: try JobFile.read(file, needsCommand: needsCommand), arguments: arguments)
    } catch {
      let check: Hint = "holdfast config check \(file)"
      return .rejected("\(error); \(check)")
    }
    let changes = known.withLock { known in
      defer { known = new }
      return known.changes(to: new)
    }
    let lines = changes.map { "\(file): \(Self.words($0))" }
    return .accepted(
      new.settings.policyInForce, changes: lines.isEmpty ? ["\(file): nothing changed"] : lines)
  }

  private static func words(_ change: Resolution.Difference) -> String {
    let later = change.setting.change == .atOnce ? "" : "; takes effect at the next start"
    // Variables may be secrets and must not be logged.
    if case .table = change.new ?? change.old { return "\(change.setting.name) changed\(later)" }
    let (old, new) = (change.old?.toml ?? "unset", change.new?.toml ?? "unset")
    return "\(change.setting.name) is now \(new), was \(old)\(later)"
  }
}
