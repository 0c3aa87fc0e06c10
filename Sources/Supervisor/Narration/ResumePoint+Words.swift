import Reporting
import Supervision
import Vocabulary

extension ResumePoint {
  /// Worded to follow "from" or "loading".
  var words: String {
    switch self {
    case .beginning: "the beginning"
    case .checkpoint(let level, 0): "the state before the first step (\(level.rawValue))"
    case .checkpoint(let level, let step): "step \(Words.number(step)) (\(level.rawValue))"
    }
  }
}
