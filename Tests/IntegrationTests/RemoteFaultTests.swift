import Foundation
import S3Server
import Testing

/// What happens when the remote storage damages, loses or retains what it should not, or does not answer.
@Suite(.serialized) struct RemoteFaultTests {
  private static let server = Result { try S3Server() }

  private static func options(_ place: String) -> [String] {
    ["--remote", place, "--remote-heartbeat", "1s", "--every-epochs", "1"]
  }

  private static func trainer(_ epochs: Int, delay: String = "0ms") -> [String] {
    [Programs.trainer, "--epochs", "\(epochs)", "--step-delay", delay]
  }

  /// Keys of the checkpoints below a directory, with its prefix.
  private static func copies(_ directory: String) throws -> [String] {
    let found = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
    return found.filter { $0.hasSuffix("/manifest.json") && !$0.contains("/.loading-") }
      .map { ($0 as NSString).deletingLastPathComponent }.sorted()
  }

  /// Copies with more steps that turned out to be damaged neither displace the new ones nor count as replicated.
  @Test func damagedCopiesDoNotDisplaceNewOnes() throws {
    let (first, second, third) = (Workbench(), Workbench(), Workbench())
    defer { for bench in [first, second, third] { bench.close() } }
    let remote = first.base + "/remote"
    let options = Self.options(remote) + ["--remote-keep-last", "2"]
    let run = try first.start(options, Self.trainer(99, delay: "5ms"))
    try first.wait(for: "copies") { try first.status("replicated_step") >= 180 }
    kill(run.processIdentifier, SIGTERM)
    run.waitUntilExit()
    let damaged = try Self.copies(remote)
    #expect(damaged.count >= 2)
    for key in damaged { try Workbench.flipBit(of: "\(remote)/\(key)/state.safetensors", at: 50_000) }

    let again = try second.start(options, Self.trainer(99, delay: "20ms"))
    try second.wait(for: "two new copies") { try second.status("replicated_step") >= 90 }
    try second.killBoth(again)
    #expect(
      second.standardError.contains("no checkpoint at the remote storage"), "\(second.standardError)")
    let kept = try Self.copies(remote)
    #expect(Set(damaged).isSubset(of: kept), "what is damaged is not removed: \(kept)")
    let step = try #require(try second.json(["status"])["replicated_step"] as? Int)
    #expect(kept.contains { $0.hasSuffix("/step-\(step)") }, "\(step) is claimed: \(kept)")

    // Also after a restart, which loads none of them.
    let restarted = try second.start(options, Self.trainer(99, delay: "20ms"))
    try second.wait(for: "another copy") { try second.status("replicated_step") > step }
    try second.killBoth(restarted)
    let last = try #require(try second.json(["status"])["replicated_step"] as? Int)
    let other = try third.start(options, Self.trainer(99, delay: "20ms"))
    try third.wait(for: "the continuation") { try third.status("step") > last }
    try third.killBoth(other)
    let from = try #require(try third.attempts().last?["resumed_from"] as? [String: Any])
    #expect(from["step"] as? Int ?? 0 >= last, "\(third.standardError)")
  }

  /// Objects that are listed but missing are like damaged ones.
  @Test func listedButMissing() throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let server = try Self.server.get()
    let environment = server.machine()
    let options = Self.options("t:hollow/jobs") + ["--remote-keep-last", "2"]
    let run = try first.start(options, Self.trainer(99, delay: "20ms"), environment: environment)
    try first.wait(for: "copies") { try first.status("replicated_step") >= 135 }
    kill(run.processIdentifier, SIGTERM)
    run.waitUntilExit()
    let step = try first.status("replicated_step")

    server.set(.hollow, bucket: "hollow")
    defer { server.set(.none, bucket: "hollow") }
    let again = try second.start(options, Self.trainer(99, delay: "50ms"), environment: environment)
    try second.wait(for: "a new copy") { try second.status("replicated_step") >= 45 }
    server.set(.none, bucket: "hollow")
    try second.killBoth(again)
    let text = second.standardError
    #expect(
      text.contains("step-\(step) at the remote storage cannot be used: it is listed, but missing"), "\(text)"
    )
    #expect(text.contains("no checkpoint at the remote storage t:hollow/jobs/test can be used"), "\(text)")
    #expect(text.contains("attempt 2 started from the beginning"), "\(text)")
    let claimed = try second.status("replicated_step")
    let pull = ["checkpoints", "pull", "test", "--remote", "t:hollow/jobs", "--list"]
    let listed = try second.holdfast(pull, environment: environment).out
    #expect(
      claimed < step && listed.contains("step-\(claimed) ") && listed.contains("step-\(step) "), "\(listed)")
  }

  private static func status(_ bench: Workbench) throws -> String {
    try bench.holdfast(["status", "--state-dir", bench.state]).out
  }

  /// A copy at the storage is known after local retention has removed its checkpoint.
  @Test func anOutageDeniesNoCopy() throws {
    let bench = Workbench()
    defer { bench.close() }
    let remote = bench.base + "/remote"
    let options = Self.options(remote) + ["--keep-last", "2"]
    let run = try bench.start(options, Self.trainer(99, delay: "10ms"))
    try bench.wait(for: "a copy") { try bench.status("replicated_step") > 0 }
    try FileManager.default.moveItem(atPath: remote, toPath: remote + ".away")
    try Data("gone".utf8).write(to: URL(fileURLWithPath: remote))
    let step = try bench.status("durable_step")
    try bench.wait(for: "the removal of all that was replicated") {
      try bench.status("durable_step") >= step + 180
    }
    let (text, json) = (try Self.status(bench), try bench.json(["status"]))
    let copied = try #require(json["replicated_step"] as? Int, "\(text)")
    #expect(text.contains("replicated  step \(copied) "), "\(text)")
    let machine = (json["resume_points"] as? [String: Any])?["machine"] as? [String: Any]
    #expect(machine?["step"] as? Int == copied && machine?["level"] as? String == "durable", "\(json)")
    #expect(try Self.copies(remote + ".away").contains { $0.hasSuffix("/step-\(copied)") })
    #expect(text.contains("next try with the next checkpoint, in "), "\(text)")
    try bench.killBoth(run)
  }

  /// Removals that are accepted and do nothing are reported, and end to be when they work.
  @Test func removalsAreIgnored() throws {
    let bench = Workbench()
    defer { bench.close() }
    let server = try Self.server.get()
    server.set(.keep, bucket: "keep")
    defer { server.set(.none, bucket: "keep") }
    let options = Self.options("t:keep/jobs") + ["--remote-keep-last", "1"]
    let run = try bench.start(options, Self.trainer(999, delay: "30ms"), environment: server.machine())
    try bench.wait(for: "the degradation") {
      try Self.status(bench).contains("the storage accepts removals and removes nothing")
    }
    #expect(try bench.holdfast(["status", "--check", "--state-dir", bench.state]).status == 5)
    server.set(.none, bucket: "keep")
    try bench.wait(for: "the end of the degradation") { try !Self.status(bench).contains("Degraded") }
    try bench.killBoth(run)
  }

  /// A storage that takes connections and does not answer is reported long before a request fails.
  @Test func theStorageHangs() throws {
    let bench = Workbench()
    defer { bench.close() }
    let server = try S3Server()
    defer { server.stop() }
    let run = try bench.start(
      Self.options("t:hang/jobs"), Self.trainer(9999, delay: "30ms"), environment: server.machine())
    try bench.wait(for: "a copy") { try bench.status("replicated_step") > 0 }
    server.suspend()
    try bench.wait(for: "the degradation") {
      try Self.status(bench).contains(
        "the heartbeat does not reach the remote storage t:hang/jobs/test: no answer for")
    }
    server.resume()
    try bench.wait(for: "the end of the degradation") { try !Self.status(bench).contains("Degraded") }
    try bench.killBoth(run)
  }
}
