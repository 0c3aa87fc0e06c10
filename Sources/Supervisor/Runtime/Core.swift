import Glibc
import POSIX
import Supervision

/// The core's state. It changes only through `send`: `transition` computes the next state and the actions, which are
/// performed in order.
final class Core {
  private(set) var state: State
  /// Called with each action. Events sent meanwhile are queued.
  var perform: (Action) -> Void = { _ in }
  /// Called after the transition, before its actions.
  var willPerform: (_ before: Before) -> Void = { _ in }
  /// Called after the actions.
  var didPerform: (_ before: Before) -> Void = { _ in }
  private var queue: [Event] = []
  private var isHandling = false

  /// The state before an event, as far as it is needed.
  struct Before {
    var phase: Phase
    var isStopping: Bool
  }

  init(_ state: State) { self.state = state }

  func send(_ event: Event) {
    queue.append(event)
    guard !isHandling else { return }
    isHandling = true
    defer { isHandling = false }
    while !queue.isEmpty {
      let before = Before(phase: state.phase, isStopping: state.stop != nil)
      let (next, actions) = transition(state, queue.removeFirst(), at: .now)
      state = next
      willPerform(before)
      for action in actions { perform(action) }
      didPerform(before)
    }
  }
}

extension Moment {
  static var now: Moment {
    Moment(monotonic: .nanoseconds(Clock.bootNanoseconds), wall: .nanoseconds(Clock.wallNanoseconds))
  }
}
