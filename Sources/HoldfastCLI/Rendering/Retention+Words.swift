import Reporting
import Supervision

extension Retention.Kept {
  /// Why a checkpoint is kept: `last 3`, `best 1`.
  var words: String {
    switch self {
    case .newest: "newest"
    case .last(let count): "last \(count)"
    case .best(let rank, _): "best \(rank)"
    case .unranked(let monitor): "not ranked by \(monitor)"
    case .everySteps(let count): "every \(Words.number(count)) steps"
    case .weights: "no policy"
    case .daily(let count): "daily \(count)"
    }
  }
}
