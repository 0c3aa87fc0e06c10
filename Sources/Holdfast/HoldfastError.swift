import Checkpoints
public import Reporting
import TrainerProtocol

/// Why a run could not be attached, restored or recorded.
public typealias HoldfastError = CodedError<HoldfastErrorCode>

public enum HoldfastErrorCode: Hashable, Sendable {
  /// The run directory cannot be used, or is not this job's.
  case cannotAttach
  case cannotRestore
  /// The process was forked after it attached: only the one that attached may go on.
  case forked
  case stateTooLarge
  case cannotSave
  /// A call in the wrong order: a component registered after `restore()`, say.
  case misuse
}

extension HoldfastError {
  /// - Parameter hint: instead of that of `error`.
  init(_ code: HoldfastErrorCode, _ error: CodedError<some Any>, hint: Hint? = nil) {
    self.init(
      code, error.what, path: error.path, why: error.why, errno: error.errno, hint: hint ?? error.hint)
  }
}
