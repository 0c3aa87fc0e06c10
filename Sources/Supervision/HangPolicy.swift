/// When a trainer without steps counts as hung.
enum HangPolicy {
  /// `auto` waits this many times the longest pause between steps seen so far…
  static let factor = 20
  /// …and never less than this: a long validation or a slow filesystem is not a hang.
  static let shortestAutoTimeout = Duration.seconds(600)
  /// A first step compiles, loads and warms up.
  static let firstStepFactor = 10
  /// From the request for stacks to the kill. Python's handler takes milliseconds, slightly more under load.
  static let stacksTime = Duration.seconds(2)

  /// - Parameters:
  ///   - usesProtocol: a program that does not has no steps, and so cannot hang between them.
  ///   - longestPause: between recorded steps of this job; nil before the second step.
  static func timeout(
    _ limit: Policy.Limit, usesProtocol: Bool, stepped: Bool, longestPause: Duration?
  ) -> Duration? {
    guard usesProtocol else { return nil }
    switch limit {
    case .off: return nil
    case .fixed(let timeout): return stepped ? timeout : timeout * firstStepFactor
    case .auto:
      guard stepped, let longestPause else { return nil }
      return max(shortestAutoTimeout, longestPause * factor)
    }
  }
}
