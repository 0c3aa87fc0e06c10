import Vocabulary

extension JobState {
  /// At the end of a sentence.
  var words: String {
    switch self {
    case .backingOff: "waiting to restart"
    case .gaveUp: "gave up"
    case .interrupted: "not supervised (its supervisor died)"
    case .stopped: "stopped, resumable"
    case .failed: "failed to run, resumable"
    case .new: "not started yet"
    case .running, .starting, .saving, .stopping, .finished: rawValue
    }
  }
}
