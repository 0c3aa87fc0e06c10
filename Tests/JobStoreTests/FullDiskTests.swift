import Glibc
import POSIX
import Reporting
import SystemPackage
import Testing
import TrainerProtocol

@testable import JobStore

/// A small file system. Requires root.
final class SmallDisk {
  let path: FilePath

  init?(megabytes: Int) throws {
    guard geteuid() == 0 else { return nil }
    var template = Array("/tmp/holdfast-small-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = FilePath(platformString: template)
    let mounted = path.withPlatformString { mount("holdfast-test", $0, "tmpfs", 0, "size=\(megabytes)m") }
    if mounted != 0 {
      rmdir(template)
      return nil
    }
  }

  deinit {
    path.withPlatformString { path in
      umount2(path, Int32(MNT_DETACH))
      rmdir(path)
    }
  }

  var ballast: FilePath { path.appending("ballast") }

  func fill() throws {
    let file = try OpenFile(ballast, .writeOnly, create: .ifAbsent(mode: 0o600))
    let zeros = [UInt8](repeating: 0, count: 4096)
    while write(file.descriptor, zeros, zeros.count) > 0 {}
  }

  func makeRoom() throws { try FileSystem.remove(ballast) }
}

@Suite(.serialized) struct FullDiskTests {
  private func waitFor(_ desk: Desk, _ condition: (StoreReport) -> Bool) -> Bool {
    for _ in 0..<4000 {
      if desk.all.contains(where: condition) { return true }
      usleep(5000)
    }
    return false
  }

  @Test func fullDiskLosesNothingThatFitsInMemory() throws {
    guard let disk = try SmallDisk(megabytes: 8) else {
      print("skipped: mounting needs root")
      return
    }
    let fixture = try Fixture(state: disk.path.appending("state"))
    let desk = try Desk(fixture)
    defer { desk.close() }
    for step in 1...100 as ClosedRange<UInt64> { fixture.step(step) }
    desk.drain(fixture, attempt: 1)
    #expect(try desk.store.snapshotCount() == 100)

    try disk.fill()
    try fixture.nextAttempt()
    for step in 91...2000 as ClosedRange<UInt64> { #expect(fixture.step(step)) }
    let names = JSON.encode(["loss"])
    #expect(fixture.trainer.append(.metricNames, names))
    desk.drain(fixture, attempt: 2)
    // The trainer's records still arrive, and the reason is reported once.
    let controls = desk.drained.flatMap(\.controls)
    #expect(controls.contains { if case .metricNames(["loss"]) = $0 { true } else { false } })
    #expect(desk.degradations.count == 1 && desk.degradations[0].contains("full"))
    let attempt = AttemptRecord(attempt: 2, generation: 2, boot: "b", startedAtNs: 1, resumedFrom: nil)
    #expect(!desk.writer.submitAndWait([.attempt(attempt)]))

    try disk.makeRoom()
    #expect(waitFor(desk) { if case .recovered(0, 0) = $0 { true } else { false } })
    #expect(try desk.store.snapshotCount() == 2000)
    #expect(try desk.store.attempts.newest(.max) == [attempt])
    #expect(try desk.store.metricNames() == ["loss"])
    #expect(desk.replayed == 10 && desk.difference == nil)
  }

  @Test func droppedSnapshotsAreCountedAndTheNewestRetained() throws {
    guard let disk = try SmallDisk(megabytes: 8) else {
      print("skipped: mounting needs root")
      return
    }
    var limits = StoreLimits()
    limits.backlogBytes = 64 << 10
    let fixture = try Fixture(state: disk.path.appending("state"))
    let desk = try Desk(fixture, limits: limits)
    defer { desk.close() }
    fixture.step(1)
    desk.drain(fixture, attempt: 1)
    try disk.fill()
    for step in 2...2001 as ClosedRange<UInt64> { #expect(fixture.step(step)) }
    desk.drain(fixture, attempt: 1)
    try disk.makeRoom()
    var dropped: UInt64 = 0
    #expect(
      waitFor(desk) {
        guard case .recovered(let count, _) = $0 else { return false }
        dropped = count
        return true
      })
    let kept = UInt64(try desk.store.snapshotCount())
    #expect(dropped > 0 && kept + dropped == 2001)
    #expect(try desk.store.newestSnapshots(1).first?.step == 2001)
  }
}
