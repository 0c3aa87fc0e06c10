/// How fast the trainer makes steps.
public struct Pace: Hashable, Sendable {
  /// Time for a step, smoothed; nil: unknown.
  public private(set) var step: Duration?
  /// The shortest of the recent times, from which it follows when a step can be reached at the earliest.
  public private(set) var shortest: Duration?

  public init() {}

  /// - Parameter time: for these steps together.
  mutating func add(steps: UInt64, in time: Duration) {
    guard steps > 0, time > .zero else { return }
    let one = time / Double(steps)
    step = step.map { $0 * 0.75 + one * 0.25 } ?? one
    // It rises slowly, so that one slow moment does not hide how fast the trainer can be.
    shortest = shortest.map { min(one, $0 * 1.05) } ?? one
  }

  /// Time for `steps` steps at the earliest; nil: unknown.
  func earliest(_ steps: UInt64) -> Duration? { shortest.map { $0 * Double(steps) } }

  /// Time that `steps` steps usually take; nil: unknown.
  func usual(_ steps: UInt64) -> Duration? { step.map { $0 * Double(steps) } }
}
