import Glibc
import POSIX
import Reporting
import Supervision
import SystemPackage

extension ServiceStatus {
  /// The final status, which `systemctl status` continues to show.
  static func ended(_ result: Supervisor.Result) -> String {
    let why = result.why.map { ": \($0)" } ?? ""
    switch result.ending {
    case .finished:
      return
        "finished at \(result.place)\(result.deviation.map { "; differs from an undisturbed run \($0.words)" } ?? "")"
    case .stopped: return "stopped, resumes at \(result.place)"
    case .gaveUp: return "gave up: \(result.gaveUp ?? "no progress past \(result.place)")\(why)"
    case .commandNotFound, .commandNotExecutable, .cannotStart: return "cannot start the trainer\(why)"
    case .finalStateNotDurable: return "finished, but the final state is not durable\(why)"
    case .internalError: return "the supervisor failed\(why)"
    }
  }

  /// The error number for an error that ended the supervisor before the job was supervised.
  static func errno(_ error: any Error) -> Int32 {
    if let error = error as? POSIXError { return error.errno.rawValue }
    guard let error = error as? SupervisorError else { return EIO }
    return switch error.code {
    case .alreadySupervised, .leftoverProcess: EBUSY
    case .otherJob: EINVAL
    case .cannotCreate: EACCES
    case .commandNotFound: ENOENT
    case .commandNotExecutable: EACCES
    case .newerFormat, .damaged, .io, .internal: EIO
    }
  }
}
