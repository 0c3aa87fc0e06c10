import Reporting
import Supervision

/// Steps per second over the last seconds of one attempt.
struct StepRate {
  private static let window = 10
  private var samples: [(at: Duration, step: UInt64, attempt: UInt64)] = []

  mutating func sample(step: UInt64, attempt: UInt64, now: Duration) {
    if samples.last?.attempt != attempt { samples = [] }
    samples.append((now, step, attempt))
    if samples.count > Self.window { samples.removeFirst() }
  }

  var stepsPerSecond: Double? {
    guard let first = samples.first, let last = samples.last, last.at > first.at, last.step > first.step
    else { return nil }
    return Double(last.step - first.step) / ((last.at - first.at) / .seconds(1))
  }
}
