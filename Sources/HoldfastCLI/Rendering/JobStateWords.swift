import Vocabulary

extension JobState {
  /// As a sentence ends with it.
  var words: String {
    switch self {
    case .backingOff: "waiting to try again"
    case .gaveUp: "gave up"
    case .interrupted: "not supervised (its supervisor was ended)"
    case .stopped: "stopped, resumable"
    case .failed: "failed to run, resumable"
    case .new: "not started yet"
    case .running, .starting, .saving, .stopping, .finished: rawValue
    }
  }
}
