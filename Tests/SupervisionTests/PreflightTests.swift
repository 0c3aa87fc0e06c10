import Supervision
import Testing

@Suite struct PreflightTests {
  /// In GiB. A tmpfs may be as large as all memory, also when little of that is left.
  @Test(arguments: [(13, true), (23, true), (24, false)]) func memoryIsLessThanTheFilesystemHas(
    memory: UInt64, isShort: Bool
  ) {
    let preflight = Preflight(
      stateBytes: 8 << 30, slotCount: 2, arenaBytes: 24 << 30, memoryBytes: memory << 30, diskBytes: nil,
      inodes: nil)
    let expected: [Preflight.Shortage] = isShort ? [.memory(needed: 16 << 30, free: memory << 30)] : []
    #expect(preflight.shortages([], totalSteps: nil) == expected)
  }

  @Test func aSmallFilesystemIsReportedAlone() {
    let preflight = Preflight(
      stateBytes: 8 << 30, slotCount: 2, arenaBytes: 1 << 30, memoryBytes: 1 << 30, diskBytes: nil,
      inodes: nil)
    #expect(preflight.shortages([], totalSteps: nil) == [.arena(needed: 16 << 30, free: 1 << 30)])
  }
}
