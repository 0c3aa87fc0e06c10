public import Vocabulary

/// What an attempt starts from.
public enum ResumePoint: Hashable, Sendable {
  case beginning
  case checkpoint(level: Level, step: UInt64)

  /// nil: the beginning.
  public var level: Level? {
    switch self {
    case .beginning: nil
    case .checkpoint(let level, _): level
    }
  }

  /// The step at which the attempt resumes.
  public var step: UInt64 {
    switch self {
    case .beginning: 0
    case .checkpoint(_, let step): step
    }
  }
}
