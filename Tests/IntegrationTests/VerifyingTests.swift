import Foundation
import Testing

/// A checkpoint that takes minutes to read is read while the trainer starts, and delays nothing.
@Suite struct VerifyingTests {
  @Test func stopDoesNotWaitForVerification() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = [Programs.trainer, "--epochs", "2", "--step-delay", "20ms"]
    let first = try bench.start(["--stage-every", "20ms", "--every", "100ms"], command)
    try bench.wait(for: "a checkpoint") { try bench.status("durable_step") > 0 }
    try bench.killBoth(first)
    // Every checkpoint becomes one of 400 GiB, nearly all of it a hole, with a manifest that agrees.
    let script = """
      set -e
      for checkpoint in \(bench.state)/checkpoints/step-*; do
        cd $checkpoint
        truncate -s 400G state.safetensors
        sed -i -E 's/"bytes" ?: ?[0-9]+/"bytes": 429496729600/' manifest.json
        sed -i /manifest.json/d XXH128SUMS
        xxh128sum manifest.json >> XXH128SUMS
      done
      rm -rf \(bench.run)
      """
    let crafted = try bench.shell(script)
    try #require(crafted.status == 0, "\(crafted.err)")

    let supervisor = try bench.start([], command)
    try bench.wait(for: "the trainer, which waits for the verdict") {
      guard supervisor.isRunning else { return true }
      let text = try bench.holdfast(["status", "--state-dir", bench.state]).out
      return text.contains("Waits: verifying step") && text.contains("of 400 GiB")
    }
    try #require(supervisor.isRunning, "\(bench.standardError)")
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75, "\(bench.standardError)")
    // The order of events, whatever the time: it is gone before the checkpoint was read.
    #expect(!bench.standardError.contains("is damaged"), "\(bench.standardError)")
    #expect(bench.leftovers().isEmpty)
  }
}
