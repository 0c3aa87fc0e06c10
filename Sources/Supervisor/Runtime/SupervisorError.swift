public import Reporting

/// An error of the supervisor. The command line maps each code to an exit status.
public typealias SupervisorError = CodedError<SupervisorErrorCode>

public enum SupervisorErrorCode: ErrorCode {
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
