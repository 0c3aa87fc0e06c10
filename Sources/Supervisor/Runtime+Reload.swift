import Supervision

// SIGHUP: the configuration is read again while the job runs.
extension Runtime {
  /// From the signal until the new values are in force, or were refused.
  func reload() {
    service.reloading()
    defer { service.reloaded() }
    guard let reload = configuration.reload else {
      return tell(.reloadRefused, "SIGHUP: there is no configuration file to read again")
    }
    switch reload() {
    case .refused(let why):
      tell(.reloadRefused, "not reloaded, the values before stay in force: \(why)", isWarning: true)
    case .taken(let policy, let changes):
      send(.policyChanged(policy))
      for line in changes { tell(.reloaded, line) }
      keepLive()
    }
  }
}
