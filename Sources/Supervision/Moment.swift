/// A point in time on both clocks that the core uses. The core never reads a clock itself.
public struct Moment: Hashable, Sendable {
  /// Since boot, suspended time included; never jumps.
  public var monotonic: Duration
  /// Since 1970; comparable across reboots, and may jump.
  public var wall: Duration

  public init(monotonic: Duration, wall: Duration) {
    self.monotonic = monotonic
    self.wall = wall
  }
}
