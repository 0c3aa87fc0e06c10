import Reporting
import Supervision
import Vocabulary

extension ResumePoint {
  /// Worded to follow "at" or "past".
  var place: String { (level == .adopted ? "adopted checkpoint " : "step ") + Words.number(step) }

  /// Worded to follow "from" or "loading".
  var words: String {
    switch self {
    case .beginning: "the beginning"
    case .checkpoint(.adopted, let number): "adopted checkpoint \(Words.number(number))"
    case .checkpoint(let level, 0): "the state before the first step (\(level.rawValue))"
    case .checkpoint(let level, let step): "step \(Words.number(step)) (\(level.rawValue))"
    }
  }
}
