import FakeMetadata
import Foundation
import TestSupport
import Testing

/// Machines that are taken away, from the cloud's notice to the next start.
@Suite struct PreemptionTests {
  static let length = ["--epochs", "12"]
  static let slow = [Programs.trainer] + length + ["--step-delay", "20ms"]

  /// Kinds of events, in their order.
  static func kinds(_ bench: Workbench) throws -> [String] {
    let result = try bench.holdfast(["events", "--state-dir", bench.state, "--json"])
    return try result.out.split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return try #require(object?["kind"] as? String)
    }
  }

  static func date(in seconds: Double, _ format: String) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "UTC")
    formatter.dateFormat = format
    return formatter.string(from: Date().addingTimeInterval(seconds))
  }

  /// A job that listens to `server`, after a few steps.
  static func start(_ bench: Workbench, _ source: String, _ variable: String, _ server: FakeServer) throws
    -> Process
  {
    let process = try bench.start(
      ["--preemption", source, "--every-epochs", "off"], slow,
      environment: [variable: "http://\(server.endpoint)"])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    return process
  }

  /// The job stopped for a preemption with everything durable; its next start, on a machine that has
  /// nothing but the state directory, ends with the undisturbed bits.
  static func resumeElsewhere(_ bench: Workbench) async throws {
    let points = try #require(try bench.json(["status"])["resume_points"] as? [String: Any])
    let power = try #require(points["power"] as? [String: Any])
    #expect(power["replay_steps"] as? Int == 0, "the last step is durable")
    let ended = try #require(try bench.attempts().last)
    #expect(ended["cause"] as? String == "preempted" && ended["outcome"] as? String == "stopped")
    #expect(try bench.status("restart_budget") == 5, "preemption costs no budget")
    #expect(bench.leftovers().isEmpty)
    try FileManager.default.removeItem(atPath: bench.run)
    #expect(try bench.supervise(["--preemption", "none"], [Programs.trainer] + length) == 0)
    #expect(digest(in: bench.standardOutput) == (try await Undisturbed.shared.digest(length)))
    #expect(try bench.attempts().count == 2)
  }

  @Test func amazonNoticeEndsWithDurableCheckpoint() async throws {
    let amazon = try FakeAmazon()
    defer { amazon.server.stop() }
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try Self.start(bench, "aws", "AWS_EC2_METADATA_SERVICE_ENDPOINT", amazon.server)
    amazon.setAction(
      #"{"action": "terminate", "time": ""# + Self.date(in: 8, "yyyy-MM-dd'T'HH:mm:ss'Z'") + #""}"#)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    let kinds = try Self.kinds(bench)
    let noticed = try #require(kinds.firstIndex(of: "preemption_notice"))
    let leaving = try #require(kinds.firstIndex(of: "preemption_leaving"))
    #expect(kinds[noticed..<leaving].contains("published"), "durable before the trainer is stopped: \(kinds)")
    #expect(kinds[leaving...].contains("published") && kinds.contains("preempted"))
    let history = try bench.holdfast(["history", "--state-dir", bench.state])
    #expect(history.out.contains("preempted: AWS notice, saved in"), "\(history.out)")
    try await Self.resumeElsewhere(bench)
  }

  /// As it is on GCE: the notice and the machine's shutdown come together.
  @Test func googleNoticeTogetherWithSignal() async throws {
    let google = try FakeGoogle()
    defer { google.server.stop() }
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try Self.start(bench, "gce", "GCE_METADATA_HOST", google.server)
    google.set("preempted", "TRUE")
    try bench.wait(for: "the notice") { bench.standardError.contains("preemption notice from GCE (") }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    let history = try bench.holdfast(["history", "--state-dir", bench.state])
    #expect(history.out.contains("preempted: SIGTERM, saved in"), "\(history.out)")
    try await Self.resumeElsewhere(bench)
  }

  @Test func azureEventIsAcknowledgedWhenDurable() async throws {
    let azure = try FakeAzure(machine: "train-7")
    defer { azure.server.stop() }
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try Self.start(bench, "azure", "HOLDFAST_AZURE_METADATA_ENDPOINT", azure.server)
    azure.set([
      .init(
        "E-1", "Reboot", resources: ["train-7"],
        notBefore: Self.date(in: 8, "EEE, dd MMM yyyy HH:mm:ss 'GMT'"))
    ])
    try bench.wait(for: "the notice") {
      bench.standardError.contains("preemption notice from Azure (Reboot)")
    }
    #expect(azure.started.isEmpty)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(azure.started == ["E-1"])
    let kinds = try Self.kinds(bench)
    let published = try #require(kinds.lastIndex(of: "published"))
    let acknowledged = try #require(kinds.firstIndex(of: "preemption_acknowledged"))
    #expect(published < acknowledged)
    try await Self.resumeElsewhere(bench)
  }

  @Test func cancelledNoticeStopsNothing() async throws {
    let azure = try FakeAzure(machine: "train-7")
    defer { azure.server.stop() }
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try Self.start(bench, "azure", "HOLDFAST_AZURE_METADATA_ENDPOINT", azure.server)
    azure.set([.init("E-1", "Redeploy", resources: ["train-7"], notBefore: "Fri, 19 Sep 2036 18:29:47 GMT")])
    try bench.wait(for: "the checkpoint") { bench.standardError.contains("is durable") }
    azure.set([])
    try bench.wait(for: "its end") { bench.standardError.contains("cancelled its preemption notice") }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0)
    #expect(try bench.attempts().count == 1)
    #expect(digest(in: bench.standardOutput) == (try await Undisturbed.shared.digest(Self.length)))
    #expect(azure.started.isEmpty)
  }

  /// Not one step fits into what is left: the staged checkpoint is what becomes durable.
  @Test func tooLittleTimePublishesStagedCheckpoint() throws {
    let bench = Workbench()
    defer { bench.close() }
    let ready = bench.base + "/ready"
    let program = try bench.write(
      "notices",
      "#!/bin/bash\nwhile [ ! -e '\(ready)' ]; do sleep 0.05; done\necho preempt 2 now\nsleep 1000\n",
      executable: true)
    let supervisor = try bench.start(
      ["--preemption", "command:\(program)", "--stage-every", "10ms", "--every", "1h"],
      [Programs.trainer, "--epochs", "2", "--step-delay", "1000s"])
    try bench.wait(for: "the first step") {
      try bench.status("staged_step") >= 1 || bench.status("step") >= 1
    }
    _ = try bench.write("ready", "")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(bench.standardError.contains("preemption notice from notices (now)"))
    #expect(try bench.attempts().last?["cause"] as? String == "preempted")
    #expect(bench.leftovers().isEmpty)
  }

  @Test func warningSavesAndWatcherEndsWithSupervisor() async throws {
    let bench = Workbench()
    defer { bench.close() }
    let pid = bench.base + "/pid"
    let program = try bench.write(
      "notices", "#!/bin/bash\nsleep 1000 &\necho $! > '\(pid)'\nsleep 1\necho rebalance\nwait\n",
      executable: true)
    #expect(try bench.supervise(["--preemption", "command:\(program)"], Self.slow) == 0)
    #expect(digest(in: bench.standardOutput) == (try await Undisturbed.shared.digest(Self.length)))
    let kinds = try Self.kinds(bench)
    let warned = try #require(kinds.firstIndex(of: "preemption_warning"))
    #expect(kinds[warned...].filter { $0 == "published" }.count >= 2, "then and at the end: \(kinds)")
    let text = try String(contentsOfFile: pid, encoding: .utf8)
    let sleeper = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    // Killed, it takes a moment.
    defer { kill(sleeper, SIGKILL) }
    try bench.wait(for: "the end of what the program started") { !Processes.isRunning(sleeper) }
  }

  /// The trainer dies and its tree is cleared; the program that watches for notices is not part of it.
  @Test func watcherSurvivesAttempts() throws {
    let bench = Workbench()
    defer { bench.close() }
    let starts = bench.base + "/starts"
    let program = try bench.write(
      "notices", "#!/bin/bash\necho run >> '\(starts)'\nsleep 1000\n", executable: true)
    let supervisor = try bench.start(
      ["--preemption", "command:\(program)", "--stage-every", "50ms"],
      [Programs.trainer, "--epochs", "4", "--step-delay", "10ms"])
    try bench.wait(for: "a few steps") { try bench.status("step") > 20 }
    kill(try #require(bench.trainerPID), SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0)
    #expect(try bench.attempts().count == 2)
    #expect(try String(contentsOfFile: starts, encoding: .utf8) == "run\n")
  }

  @Test func invalidMetadataServerDegradesOnly() throws {
    let server = try FakeServer { _, _ in .whole(200, "<html>Please log in</html>") }
    defer { server.stop() }
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(
      ["--preemption", "gce"], Self.slow, environment: ["GCE_METADATA_HOST": server.endpoint])
    try bench.wait(for: "the complaint") {
      try bench.status("step") > 0
        && (try bench.json(["status"])["degraded"] as? [String])?.contains { $0.contains("not GCE's") }
          ?? false
    }
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(try bench.attempts().last?["cause"] as? String == "stopped")
  }

  @Test func invalidSourceIsRejectedBeforeStart() throws {
    let bench = Workbench()
    defer { bench.close() }
    let status = try bench.supervise(["--preemption", "ec2"], Self.slow)
    #expect(status == 64)
    #expect(bench.standardError.contains("unknown source of preemption notices 'ec2'"))
    #expect(!FileManager.default.fileExists(atPath: bench.state))
  }
}
