import Foundation
import TestSupport
import Testing

/// The promise itself: whatever is killed whenever, the finished run has the bits of the undisturbed.
@Suite(.serialized) struct StormTests {
  static let kills = 208
  static let killsEach = 26

  /// How many kills a run has before it is over depends on the machine; their number in all does not.
  @Test func randomKillsDoNotChangeResult() async throws {
    var kills = 0
    var seed: UInt64 = 0
    while kills < Self.kills {
      seed += 1
      let more = try await storm(seed: seed)
      try #require(more > 0, "a run was over before anything was killed")
      kills += more
    }
  }

  /// - Returns: how often a trainer or the supervisor of this run was killed.
  private func storm(seed: UInt64) async throws -> Int {
    let length = ["--epochs", "12"]
    let expected = try await Undisturbed.shared.digest(length)
    let bench = Workbench()
    defer { bench.close() }
    var random = Generator(seed: seed)
    let options = ["--every", "300ms", "--stage-every", "20ms", "--max-stalls", "100"]
    let command = [Programs.trainer] + length + ["--step-delay", "6ms"]
    var supervisor = try bench.start(options, command)
    var kills = 0
    var supervisorKills = 0
    for _ in 0..<10_000 where kills < Self.killsEach {
      usleep(UInt32(random.next() % 350_000))
      if !supervisor.isRunning { break }
      if random.next() % 5 == 0 {
        kill(supervisor.processIdentifier, SIGKILL)
        supervisor.waitUntilExit()
        supervisorKills += 1
        supervisor = try bench.start(options, command)
      } else if let trainer = bench.trainerPID {
        kill(trainer, SIGKILL)
      } else {
        continue
      }
      kills += 1
    }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "seed \(seed): \(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected, "seed \(seed)")
    #expect(bench.leftovers().isEmpty)

    let attempts = try bench.attempts()
    #expect(attempts.count >= kills - supervisorKills)
    for attempt in attempts {
      #expect(attempt["cause"] is String, "every ended attempt has a cause")
      #expect(attempt["replay"] is NSNull || attempt["replay"] as? String == "identical")
    }
    let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verified.status == 0)
    return kills
  }
}
