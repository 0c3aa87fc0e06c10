public import Reporting

/// Why the supervisor could not do its work. The command line gives each code its exit status.
public typealias SupervisorError = CodedError<SupervisorErrorCode>

public enum SupervisorErrorCode: Hashable, Sendable {
  case alreadySupervised
  case cannotCreate
  case leftoverProcess
  case otherJob
  case newerFormat
  case damaged
  case commandNotFound
  case commandNotExecutable
  case io
  case `internal`
}
