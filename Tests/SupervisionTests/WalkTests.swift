import Supervision
import Testing

/// Random walks through the core: whatever happens in whatever order, what `State` says of itself
/// holds, and nothing is waited for that cannot come.
@Suite struct WalkTests {
  /// 240,000 events in all.
  @Test(arguments: 1...8 as ClosedRange<UInt64>) func invariantsHold(seed: UInt64) {
    var walk = Walk(seed: seed)
    for _ in 0..<30_000 {
      walk.step()
      guard walk.complaints.isEmpty else { break }
    }
    #expect(walk.complaints.isEmpty, "seed \(seed): \(walk.trail)")
    // It came everywhere, or it proves little.
    #expect(walk.visited == Set(Phase.allCases))
    #expect(walk.starts > 500 && walk.publications > 100 && walk.stops > 100)
  }
}
