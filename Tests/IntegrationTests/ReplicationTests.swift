import Foundation
import S3Server
import Testing

/// Checkpoints at a remote storage: a real S3 server on loopback through rclone, and a directory.
@Suite(.serialized) struct ReplicationTests {
  private static let server = Result { try S3Server() }

  /// A machine with the remote `t:`.
  private static func environment(secret: String = "testing-secret") throws -> [String: String] {
    try server.get().machine(secret: secret)
  }

  private static func options(_ place: String) -> [String] {
    ["--remote", place, "--remote-heartbeat", "1s", "--every-epochs", "1"]
  }

  private static func trainer(_ epochs: Int, delay: String = "0ms") -> [String] {
    [Programs.trainer, "--epochs", "\(epochs)", "--step-delay", delay]
  }

  private static func replicatedStep(_ bench: Workbench) throws -> Int {
    try bench.status("step") > 0 ? bench.json(["status"])["replicated_step"] as? Int ?? 0 : 0
  }

  /// The disk vanishes with its machine; another one continues, and the result has the same bits.
  @Test func anotherMachineContinues() async throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let (place, environment) = ("t:vanished/jobs", try Self.environment())
    // It must not finish before that, on a busy machine either.
    let run = try first.start(Self.options(place), Self.trainer(8, delay: "100ms"), environment: environment)
    try first.wait(for: "two epochs at the remote") { try Self.replicatedStep(first) >= 90 }
    let status = try first.holdfast(["status", "--state-dir", first.state]).out
    #expect(status.contains("replicated") && status.contains("the machine"), "\(status)")
    try first.killBoth(run)
    let step = try Self.replicatedStep(first)
    try FileManager.default.removeItem(atPath: first.state)
    try FileManager.default.removeItem(atPath: first.run)

    let again = try second.start(Self.options(place), Self.trainer(8), environment: environment)
    again.waitUntilExit()
    #expect(again.terminationStatus == 0, "\(second.standardError)")
    let undisturbed = try await Undisturbed.shared.digest(["--epochs", "8"])
    #expect(digest(in: second.standardOutput) == undisturbed, "the same bits")
    let attempts = try second.attempts()
    try #require(attempts.map { $0["attempt"] as? Int } == [1, 2], "the whole story")
    #expect(attempts[0]["last_step"] as? Int ?? 0 >= 90)
    let from = try #require(attempts[1]["resumed_from"] as? [String: Any])
    #expect(from["step"] as? Int ?? 0 >= step && from["level"] as? String == "durable")
    #expect(try second.holdfast(["checkpoints", "verify", "--state-dir", second.state]).status == 0)

    // The finished job is known on a third machine, too.
    let third = Workbench()
    defer { third.close() }
    let finished = try third.start(Self.options(place), Self.trainer(8), environment: environment)
    finished.waitUntilExit()
    #expect(
      finished.terminationStatus == 0 && third.standardError.contains("nothing to do"),
      "\(third.standardError)")
  }

  @Test func twoMachinesAreRefused() throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let options = Self.options(first.base + "/remote")
    _ = try first.start(options, Self.trainer(60, delay: "50ms"))
    try first.wait(for: "a checkpoint at the remote") { try Self.replicatedStep(first) > 0 }
    #expect(try second.supervise(options, Self.trainer(60)) == 73, "\(second.standardError)")
    #expect(second.standardError.contains("is running on another machine"), "\(second.standardError)")
    // After a stop nobody waits for the heartbeat.
    #expect(try first.holdfast(["stop", "--state-dir", first.state]).status == 0)
    let step = try first.status("step")
    let next = try second.start(options, Self.trainer(60, delay: "50ms"))
    try second.wait(for: "the continuation") { try second.status("step") > step }
    #expect(!second.standardError.contains("waiting up to 3.5 s for its heartbeat\nholdfast: the heartbeat"))
    kill(next.processIdentifier, SIGTERM)
    next.waitUntilExit()
    let attempts = try second.attempts()
    #expect((attempts.last?["resumed_from"] as? [String: Any])?["step"] as? Int == step, "nothing was lost")
  }

  /// Credentials that are wrong: the trainer continues, `status` says why, and no secret is anywhere.
  @Test func wrongCredentialsDegrade() throws {
    let bench = Workbench()
    defer { bench.close() }
    let server = try Self.server.get()
    server.set(.deny, bucket: "denied")
    defer { server.set(.none, bucket: "denied") }
    // A job that is known here, so that the start need not ask.
    #expect(
      try bench.supervise(["--every-epochs", "off", "--grace", "5s"], [Programs.trainer, "--epochs", "1"])
        == 0)
    let options = Self.options("t:denied/jobs") + ["--again", "--grace", "3s"]
    let secret = "a-very-secret-value"
    let run = try bench.start(
      options, Self.trainer(99, delay: "50ms"), environment: Self.environment(secret: secret))
    try bench.wait(for: "the degradation") {
      try bench.holdfast(["status", "--state-dir", bench.state]).out.contains(
        "does not reach the remote storage")
    }
    let status = try bench.holdfast(["status", "--state-dir", bench.state])
    #expect(status.out.contains("replicated  none yet"), "\(status.out)")
    let step = try bench.status("step")
    try bench.wait(for: "more steps") { try bench.status("step") > step + 20 }

    // It works again by itself.
    server.set(.none, bucket: "denied")
    try bench.wait(for: "a checkpoint at the remote") { try Self.replicatedStep(bench) > 0 }
    kill(run.processIdentifier, SIGTERM)
    run.waitUntilExit()
    #expect(run.terminationStatus == 75, "\(bench.standardError)")
    let events = try bench.holdfast(["events", "--state-dir", bench.state, "--json"]).out
    for text in [bench.standardError, bench.standardOutput, status.out, events] {
      #expect(!text.contains(secret))
    }
    let store = try Data(contentsOf: URL(fileURLWithPath: bench.state + "/store/data.mdb"))
    #expect(store.range(of: Data(secret.utf8)) == nil)
  }

  /// Without a local state and without an answer the job must not begin anew.
  @Test func anUnreachableRemoteDoesNotBeginAnew() throws {
    let bench = Workbench()
    defer { bench.close() }
    var environment = try Self.environment()
    environment["RCLONE_CONFIG_T_ENDPOINT"] = "http://127.0.0.1:1"
    let run = try bench.start(Self.options("t:none/jobs"), Self.trainer(1), environment: environment)
    run.waitUntilExit()
    #expect(run.terminationStatus == 74, "\(bench.standardError)")
    #expect(
      bench.standardError.contains("cannot find out whether the remote storage"), "\(bench.standardError)")
    #expect(!bench.standardOutput.contains("epoch"))
  }

  @Test(arguments: [
    ":s3,secret_access_key=geheim:bucket/jobs", "https://user:geheim@host/x", "no-remote", "-x:y",
  ])
  func unusableRemotes(place: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise(["--remote=\(place)"], Self.trainer(1)) == 64, "\(bench.standardError)")
    #expect(!bench.standardError.contains("geheim"), "\(bench.standardError)")
  }

  /// A storage of the user that logs its calls and removes nothing.
  private static func appendOnly(_ bench: Workbench) throws -> (program: String, log: String) {
    let (place, log) = (bench.base + "/kept", bench.base + "/calls")
    let program = try bench.write(
      "append-only",
      """
      #!/bin/bash
      set -e
      echo "$1 $2" >>\(log)
      case "$1" in
      save) mkdir -p "\(place)/$2"; cp -r "$3/." "\(place)/$2" ;;
      load) cp -r "\(place)/$2/." "$3" ;;
      list) cd \(place) && find . -name manifest.json -printf '%h\\n' | cut -c3- ;;
      remove) echo "this storage removes nothing" >&2; exit 1 ;;
      esac
      """, executable: true)
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    return (program, log)
  }

  /// Old checkpoints that cannot be removed are no reason to copy the new ones again, or not to end.
  @Test func nothingCanBeRemovedThere() throws {
    let bench = Workbench()
    defer { bench.close() }
    let (program, log) = try Self.appendOnly(bench)
    func calls(_ verb: String) throws -> [String] {
      try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map(String.init)
        .filter { $0.hasPrefix(verb) }
    }
    let options = ["--remote", "command:\(program)", "--remote-keep-last", "1", "--every-epochs", "1"]
    let run = try bench.start(options, Self.trainer(99, delay: "50ms"))
    try bench.wait(for: "an old checkpoint at the remote") {
      try FileManager.default.fileExists(atPath: log) && !calls("remove").isEmpty
    }
    try bench.wait(for: "the degradation") {
      try bench.holdfast(["status", "--state-dir", bench.state]).out.contains("this storage removes nothing")
    }
    let count = try calls("save").count
    try bench.wait(for: "another checkpoint at the remote") { try calls("save").count > count + 1 }
    kill(run.processIdentifier, SIGTERM)
    run.waitUntilExit()
    #expect(run.terminationStatus == 75, "\(bench.standardError)")
    let saved = try calls("save")
    #expect(Set(saved).count == saved.count, "\(saved)")
    #expect(!bench.standardError.contains("does not reach the remote storage"), "\(bench.standardError)")
  }

  /// Without a readable history, the run that was written to last is continued, and not one with more steps.
  @Test(arguments: ["damaged", "FIFO"]) func theHistoryIsUnreadable(fault: String) throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let remote = first.base + "/remote"
    let options = Self.options(remote)
    #expect(try first.supervise(options, Self.trainer(3)) == 0, "\(first.standardError)")
    let run = try first.start(options + ["--again"], Self.trainer(3, delay: "50ms"))
    try first.wait(for: "the second run at the remote") {
      try FileManager.default.fileExists(atPath: first.state + "/runs/1/store")
        && Self.replicatedStep(first) == 45
    }
    try first.killBoth(run)
    let history = remote + "/test/objects/history"
    if fault == "FIFO" {
      #expect(try second.shell("rm \(history) && mkfifo \(history)").status == 0)
      #expect(try second.supervise(options, Self.trainer(3)) == 74, "\(second.standardError)")
      #expect(second.standardError.contains("a named pipe"), "\(second.standardError)")
      return
    }
    try Data("{\"job\":".utf8).write(to: URL(fileURLWithPath: history))
    #expect(try second.supervise(options, Self.trainer(3)) == 0, "\(second.standardError)")
    #expect(second.standardError.contains("history at the remote storage"), "\(second.standardError)")
    let from = try #require(try second.attempts().first?["resumed_from"] as? [String: Any])
    #expect(from["step"] as? Int == 45, "\(second.standardError)")
  }

  @Test func pushAndPull() throws {
    let bench = Workbench()
    defer { bench.close() }
    let remote = bench.base + "/remote"
    #expect(try bench.supervise(["--every-epochs", "1"], Self.trainer(3, delay: "20ms")) == 0)
    let without = try bench.holdfast(["checkpoints", "push", "--state-dir", bench.state])
    #expect(without.status == 64 && without.err.contains("has no remote storage"), "\(without)")
    let push = ["checkpoints", "push", "--state-dir", bench.state, "--remote", remote]
    let pushed = try bench.holdfast(push + ["step-90", "step-135"])
    #expect(
      pushed.status == 0 && pushed.out.contains("step-90 is at") && !pushed.err.contains("\r"), "\(pushed)")
    #expect(try bench.holdfast(push + ["step-91"]).err.contains("did you mean 'step-90'?"))
    let listed = try bench.holdfast(["checkpoints", "pull", "test", "--remote", remote, "--list"])
    #expect(listed.out.contains("step-135") && listed.out.contains("complete"), "\(listed)")
    let pulled = try bench.holdfast(
      ["checkpoints", "pull", "test", "step-90", "--remote", remote, "--into", bench.base + "/pulled"])
    #expect(pulled.status == 0, "\(pulled)")
    let files = try FileManager.default.contentsOfDirectory(atPath: bench.base + "/pulled/step-90")
    #expect(Set(files) == ["state.safetensors", "manifest.json", "XXH128SUMS"])
    for file in files {
      #expect(
        FileManager.default.contentsEqual(
          atPath: bench.base + "/pulled/step-90/\(file)",
          andPath: bench.state + "/checkpoints/step-90/\(file)"))
    }
  }
}
