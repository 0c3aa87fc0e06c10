import Glibc
import Supervision

extension Ending {
  /// The error number that systemd shows; nil: no failure, or one without a number.
  /// - Parameters:
  ///   - start: why the trainer could not be started.
  ///   - other: the system error that ended the supervisor.
  func errno(start: Int32?, other: Int32?) -> Int32? {
    switch self {
    case .finished, .stopped, .gaveUp: nil
    case .commandNotFound, .commandNotExecutable, .cannotStart: start ?? other ?? EIO
    case .finalStateNotDurable: EIO
    case .internalError: other ?? EIO
    }
  }
}
