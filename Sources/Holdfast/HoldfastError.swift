import Checkpoints
public import SystemPackage
import TrainerProtocol

/// Why a run could not be attached, restored or recorded.
public struct HoldfastError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
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

  public var code: Code
  public var what: String
  public var path: FilePath?
  public var hint: String

  public init(_ code: Code, _ what: String, path: FilePath? = nil, hint: String) {
    self.code = code
    self.what = what
    self.path = path
    self.hint = hint
  }

  init(_ code: Code, _ error: ProtocolError) {
    self.init(code, "\(error.operation): \(error.code.rawValue)", path: error.path, hint: error.hint)
  }

  init(_ code: Code, _ error: CheckpointError, hint: String) {
    self.init(code, error.what, path: error.path, hint: hint)
  }

  public var description: String { "\(what)\(path.map { " (\($0))" } ?? ""); \(hint)" }
}
