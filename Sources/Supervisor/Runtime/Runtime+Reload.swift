import Glibc
import Supervision
import Vocabulary

// SIGHUP: the configuration is read again while the job runs.
extension Runtime {
  /// SIGHUP: from the signal until the new values are in force, or were refused. Without a file to read
  /// again it means what it means to any program: the terminal has gone.
  func reload() {
    guard let reload = configuration.reload else { return stop(by: SIGHUP) }
    service.reloading()
    defer { service.reloaded() }
    switch reload() {
    case .refused(let why):
      events.log(.reloadRefused, "reload rejected, previous configuration kept: \(why)", isWarning: true)
    case .taken(let policy, let changes):
      send(.policyChanged(policy))
      for line in changes { events.log(.reloaded, line) }
      writeLive()
    }
  }
}
