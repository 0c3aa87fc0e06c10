import Foundation
import TestSupport
import Testing

/// What a supervisor inherits: ignored signals, limits, closed descriptors, children.
@Suite struct InheritedWorldTests {
  /// The command of a supervisor, for a shell.
  private func run(_ bench: Workbench, _ trainer: String, options: String = "") -> String {
    "\(Programs.holdfast) run --job test --state-dir \(bench.state) --run-dir \(bench.run) \(options) -- \(trainer)"
  }

  private func start(_ bench: Workbench, _ script: String) throws -> Process {
    try bench.start(program: ["/bin/bash", "-c", script])
  }

  /// nohup(1), and `&` in a shell without job control.
  @Test func ignoredSignalsStayIgnored() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = "sh -c 'grep SigIgn /proc/self/status; exec sleep 1000'"
    let supervisor = try start(bench, "trap '' HUP INT; exec \(run(bench, trainer))")
    try bench.wait(for: "the trainer") { bench.standardOutput.contains("SigIgn") }
    for signal in [SIGHUP, SIGINT, SIGHUP] { kill(supervisor.processIdentifier, signal) }
    // Bits of SIGHUP and SIGINT: the trainer starts as if there were no supervisor.
    let mask = UInt64(bench.standardOutput.filter { !$0.isWhitespace }.suffix(16), radix: 16)
    #expect(mask.map { $0 & ~(3 << 31) } == 3, "\(bench.standardOutput)")
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75)
    #expect(try bench.attempts().last?["stopped_by"] as? String == "SIGTERM", "\(bench.standardError)")
  }

  @Test func trainerInheritsNothingFromSupervisor() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try start(bench, "exec \(run(bench, "grep -E 'SigIgn|SigBlk' /proc/self/status"))")
    supervisor.waitUntilExit()
    let lines = bench.standardOutput.split(separator: "\n")
    // The C library keeps the first two real-time signals for itself.
    let masks = lines.compactMap { UInt64($0.suffix(16), radix: 16) }.map { $0 & ~(3 << 31) }
    #expect(masks == [0, 0], "\(lines)")
  }

  /// The kernel would reap the trainer, and its status would be lost.
  @Test func ignoredSIGCHLDDoesNotLoseStatus() throws {
    let bench = Workbench()
    defer { bench.close() }
    let ignoring =
      "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    let supervisor = try start(
      bench, "exec python3 -c '\(ignoring)' \(run(bench, "sh -c 'exit 3'", options: "--max-stalls 1"))")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 69)
    #expect(try bench.attempts().first?["exit_status"] as? Int == 3, "\(bench.standardError)")
  }

  @Test func orphansAreReapedWhileTheTrainerRuns() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "trainer",
      "#!/bin/bash\nfor i in 1 2 3 4 5; do (sh -c 'exit 0' & echo $! >> \(bench.base)/orphans); done\nexec sleep 1000\n",
      executable: true)
    let supervisor = try bench.start([], [script])
    func orphans() -> [String] {
      ((try? String(contentsOfFile: bench.base + "/orphans", encoding: .utf8)) ?? "").split(separator: "\n")
        .map(String.init)
    }
    try bench.wait(for: "the orphans") { orphans().count == 5 }
    try bench.wait(for: "the last of them to be reaped") {
      !orphans().contains { FileManager.default.fileExists(atPath: "/proc/\($0)") }
    }
    #expect(supervisor.isRunning && bench.trainerPID != nil)
    // The newest record of it: what it forked may be among the children for a moment.
    try bench.wait(for: "the trainer's pid") { try bench.status("trainer_pid") > 0 }
    kill(Int32(try bench.status("trainer_pid")), SIGINT)
    supervisor.waitUntilExit()
    #expect(try bench.attempts().last?["signal"] as? Int == 2, "its status was not taken by somebody else")
  }

  /// It has no steps that could fail to come.
  @Test func programWithoutProtocolDoesNotCountAsHung() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise(["--step-timeout", "20ms"], ["sleep", "1.5"]) == 0)
    #expect(try bench.attempts().count == 1, "\(bench.standardError)")
  }

  // MARK: Limits

  private static let length = ["--epochs", "4"]
  private static let command = [Programs.trainer] + length + ["--step-delay", "20ms"]

  private func limit(_ pid: Int32, _ what: String) throws {
    let result = try Workbench.run("/usr/bin/prlimit", ["--pid", "\(pid)", what])
    try #require(result.status == 0, "\(result.err)")
  }

  /// No file may grow (`ulimit -f`): as a full disk, and no signal that ends the supervisor.
  @Test func fileSizeLimitIsHandledLikeFullDisk() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--stage-every", "20ms", "--every", "100ms"], Self.command)
    try bench.wait(for: "a few steps") { try bench.status("step") > 10 }
    try limit(supervisor.processIdentifier, "--fsize=4096:unlimited")
    try bench.wait(for: "what comes of it") {
      bench.standardError.contains("no checkpoint can be made durable")
    }
    #expect(bench.standardError.contains("File too large"), "\(bench.standardError)")
    try limit(supervisor.processIdentifier, "--fsize=unlimited:unlimited")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(bench.standardError.contains("checkpoints can be made durable again"), "\(bench.standardError)")
  }

  /// No descriptor is free, from before anything was digested: no checkpoint, no new attempt, and no end either.
  @Test func jobWaitsForFreeDescriptors() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(["--stage-every", "20ms", "--every", "100ms"], Self.command)
    // Its process is there before all is open that belongs to it.
    try bench.wait(for: "the trainer") { bench.standardError.contains("attempt 1 started") }
    try limit(supervisor.processIdentifier, "--nofile=3:4096")
    try bench.wait(for: "what comes of it") {
      bench.standardError.contains("no checkpoint can be made durable")
    }
    kill(try #require(bench.trainerPID), SIGKILL)
    try bench.wait(for: "the attempt that cannot start") {
      bench.standardError.contains("Too many open files")
    }
    try limit(supervisor.processIdentifier, "--nofile=1024:4096")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// `holdfast run … <&- >&- 2>&-`: what is opened first must not become standard output.
  @Test(arguments: ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]) func closedStandardStreamsAreHarmless(
    closed: String
  ) throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = "\(Programs.trainer) --epochs 2"
    let supervisor = try start(bench, "exec \(run(bench, trainer, options: "--every 100ms")) \(closed)")
    try bench.wait(for: "the trainer") { bench.trainerPID != nil || !supervisor.isRunning }
    if let pid = bench.trainerPID {
      for stream in 0...2 {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(stream)")
        #expect(target?.contains("/ring-0") != true && target?.contains("/arena-") != true, "\(target ?? "")")
      }
    }
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(try bench.json(["status"])["state"] as? String == "finished")
    #expect(try bench.attempts().first?["last_step"] as? Int == 90, "no line was written over the ring")
    let verified = try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state])
    #expect(verified.status == 0, "\(verified.out)\(verified.err)")
  }

  /// `stty tostop` stops what writes to the terminal from the background. A supervisor that is stopped supervises
  /// nothing.
  @Test func backgroundSupervisorIsNotStopped() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "background",
      "#!/bin/bash\nset -m\nstty tostop\n\(run(bench, "sh -c 'exit 0'")) &\nwait $!\necho \"left with $?\"\n",
      executable: true)
    let result = try bench.terminal(script)
    #expect(result.out.contains("left with 0"), "\(result.out)")
  }

  // MARK: Checkpoints

  /// A port in use has nothing to do with it.
  @Test func checkpointSucceedsDespiteOtherDegradation() throws {
    let bench = Workbench()
    defer { bench.close() }
    let port = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(port) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(port, $0, size)
        _ = listen(port, 1)
        _ = getsockname(port, $0, &size)
      }
    }
    let supervisor = try bench.start(
      ["--every", "1h", "--metrics-listen", "127.0.0.1:\(UInt16(bigEndian: address.sin_port))"],
      [Programs.trainer, "--epochs", "1000", "--step-delay", "10ms"])
    try bench.wait(for: "the port in use") { bench.standardError.contains("Address already in use") }
    try bench.wait(for: "a step") { try bench.status("step") > 0 }
    let made = try bench.holdfast(["checkpoint", "--state-dir", bench.state])
    #expect(made.status == 0 && made.out.contains("is durable"), "\(made.out)\(made.err)")
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
  }

  /// A checkpoint that the store does not know was made when its manifest says.
  @Test func foundCheckpointHasManifestTime() throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try bench.supervise([], [Programs.trainer, "--epochs", "1"]) == 0)
    let times = { (list: [String: Any]) in
      (list["checkpoints"] as? [[String: Any]])?.compactMap { $0["created_at"] as? String }.map {
        $0.prefix(19)
      }
    }
    let before = try #require(times(try bench.json(["checkpoints", "list"])))
    try FileManager.default.removeItem(atPath: bench.state + "/store")
    sleep(2)
    #expect(try bench.supervise([], [Programs.trainer, "--epochs", "1"]) == 0)
    let after = try #require(times(try bench.json(["checkpoints", "list"])))
    #expect(bench.standardError.contains("which was not listed"))
    #expect(after.last == before.last, "\(after) \(before)")
  }

  /// `| head -1`: the status is the result, whether or not the text is read.
  @Test func failureKeepsStatusWithUnreadError() throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = run(bench, "sh -c 'sleep 0.3; exit 3'", options: "--max-stalls 1")
    let result = try bench.shell("bash -c \"\(command) 2>&1 | true; exit \\${PIPESTATUS[0]}\"")
    #expect(result.status == 69, "\(result)")
  }

  /// Little memory (`ulimit -v`): whatever is freed is gone at once, and none of it is read.
  @Test(arguments: [150_000, 200_000]) func littleMemoryRaisesNoSignal(kibibytes: Int) throws {
    let bench = Workbench()
    defer { bench.close() }
    let command = run(bench, "\(Programs.trainer) --epochs 1")
    let result = try bench.shell("ulimit -v \(kibibytes); \(command)")
    #expect([0, 73, 74].contains(result.status), "\(result)")
    let again = try bench.shell(command)
    #expect(again.status == 0, "\(again)")
  }

  /// No memory for a process, once: the first start is tried again as any other.
  @Test(.enabled(if: access("/usr/bin/strace", X_OK) == 0, "strace is needed"))
  func transientFirstStartFailureIsRetried() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "1"])
    let bench = Workbench()
    defer { bench.close() }
    let command = run(bench, "\(Programs.trainer) --epochs 1")
    let failing = "strace -f -qq -o \(bench.base)/trace -e trace=clone -e inject=clone:error=EAGAIN:when=1"
    let result = try bench.shell("\(failing) \(command)")
    #expect(try String(contentsOfFile: bench.base + "/trace", encoding: .utf8).contains("INJECTED"))
    #expect(result.status == 0 && digest(in: result.out) == expected, "\(result.err)")
  }

  /// Stopped between fork and exec when its supervisor was killed: it holds no lock of the job, and is ended.
  @Test(.enabled(if: access("/usr/bin/strace", X_OK) == 0, "strace is needed"))
  func trainerBeforeExecHoldsNoLock() async throws {
    let expected = try await Undisturbed.shared.digest(["--epochs", "1"])
    let bench = Workbench()
    defer { bench.close() }
    let command = run(bench, "\(Programs.trainer) --epochs 1")
    let supervisor = try start(
      bench,
      "exec strace -f -qq -o \(bench.base)/trace -e trace=setsid -e inject=setsid:signal=SIGSTOP:when=1 \(command)"
    )
    let record = bench.run + "/trainer.json"
    try bench.wait(for: "the trainer on record") { FileManager.default.fileExists(atPath: record) }
    let killed = try bench.shell(
      "kill -KILL $(cat /proc/\(supervisor.processIdentifier)/task/*/children) \(supervisor.processIdentifier)"
    )
    #expect(killed.status == 0, "\(killed)")
    supervisor.waitUntilExit()
    let result = try bench.shell(command)
    #expect(result.status == 0 && digest(in: result.out) == expected, "\(result.err)")
  }

  /// As a daemon: exit 0 at once, and the work continues in another process.
  @Test func killedBackgroundWorkIsReported() throws {
    let bench = Workbench()
    defer { bench.close() }
    let result = try bench.shell(run(bench, "sh -c 'sleep 1000 & sleep 0.2'"))
    #expect(
      result.status == 0 && result.err.contains("processes that it started were still running"), "\(result)")
    let events = try bench.holdfast(["events", "--state-dir", bench.state, "--json"]).out
    #expect(events.contains(#""kind": "background_work""#) || events.contains(#""kind":"background_work""#))
  }
}
