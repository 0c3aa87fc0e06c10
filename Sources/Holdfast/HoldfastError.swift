import Checkpoints
public import Reporting
import TrainerProtocol

/// Why a run could not be attached, restored or recorded.
public typealias HoldfastError = CodedError<HoldfastErrorCode>

public enum HoldfastErrorCode: ErrorCode {
  public static var describesHint: Bool { true }

  /// The run directory cannot be used or belongs to another job.
  case cannotAttach
  case cannotRestore
  /// The process was forked after it attached. Only the process that attached may continue.
  case forked
  case stateTooLarge
  case cannotSave
  /// A call in the wrong order, such as registering a component after `restore()`.
  case misuse
}

extension HoldfastError {
  /// - Parameter hint: replaces that of `error`.
  init(_ code: HoldfastErrorCode, _ error: CodedError<some Any>, hint: Hint? = nil) {
    self.init(
      code, error.what, path: error.path, why: error.why, errno: error.errno, hint: hint ?? error.hint)
  }
}
