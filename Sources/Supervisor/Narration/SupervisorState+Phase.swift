import Supervision
import Vocabulary

// Phases may be renamed; stored values may not.
extension SupervisorState {
  init(_ phase: Phase) {
    self =
      switch phase {
      case .idle: .idle
      case .starting: .starting
      case .running: .running
      case .saving: .saving
      case .terminating: .terminating
      case .clearing: .clearing
      case .backingOff: .backingOff
      case .settling: .settling
      case .done: .done
      }
  }

  init(_ ending: Ending) {
    self =
      switch ending {
      case .finished: .finished
      case .stopped: .stopped
      case .gaveUp: .gaveUp
      case .commandNotFound, .commandNotExecutable, .cannotStart, .finalStateNotDurable, .internalError:
        .failed
      }
  }
}
