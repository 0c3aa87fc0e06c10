import Foundation
import NotifyListener
import Testing

/// The job as a service of a service manager that listens on a socket: what it hears, and when.
@Suite struct ServiceTests {
  static let slow = [Programs.trainer, "--epochs", "3", "--step-delay", "10ms"]

  /// A job with a listener, and what that has heard.
  private final class Service {
    let bench = Workbench()
    let listener: DatagramListener
    private(set) var heard: [String] = []

    init(abstract: Bool = false) {
      let name = "holdfast-test-\(UUID().uuidString)"
      listener = DatagramListener(abstract ? "@\(name)" : NSTemporaryDirectory() + name)
    }

    func start(_ options: [String] = [], _ command: [String], _ more: [String: String] = [:]) throws
      -> Process
    {
      try bench.start(
        options, command, environment: ["NOTIFY_SOCKET": listener.address].merging(more) { $1 })
    }

    func listen() { while let message = listener.receiveText() { heard.append(message) } }

    func wait(for what: String, _ condition: ([String]) -> Bool) throws {
      try bench.wait(for: what) {
        listen()
        return condition(heard)
      }
    }

    func end(_ process: Process) throws -> Int32 {
      try wait(for: "the end") { _ in !process.isRunning }
      listen()
      return process.terminationStatus
    }

    /// What was asked for, in microseconds.
    var extensions: [Int] {
      heard.flatMap { $0.split(separator: "\n") }.filter { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") }
        .compactMap { Int($0.drop { $0 != "=" }.dropFirst()) }
    }

    func count(_ line: String) -> Int {
      heard.flatMap { $0.split(separator: "\n") }.count { $0 == line }
    }
  }

  @Test(arguments: [false, true])
  func jobReportsReadyStatusAndStopping(abstract: Bool) throws {
    let service = Service(abstract: abstract)
    defer { service.bench.close() }
    // It does not end by itself, however late it is looked at.
    let command = [Programs.trainer, "--epochs", "1000", "--step-delay", "10ms"]
    let process = try service.start(["--every", "1s"], command, ["WATCHDOG_USEC": "600000"])
    try service.wait(for: "a status of a running job, with a durable checkpoint") { heard in
      heard.contains {
        $0.range(
          of: #"(?m)^STATUS=epoch \d+/1,000 · batch \d+/45 · step [\d,]+/45,000 · "#
            + #"[\d.]+ steps/s · loss [\d.e-]+ · durable .* ago · attempt 1$"#, options: .regularExpression)
          != nil
      }
    }
    try service.wait(for: "signs of life") { heard in heard.filter { $0.hasPrefix("WATCHDOG=1") }.count >= 3 }
    #expect(service.heard.first?.hasPrefix("READY=1\nSTATUS=") == true, "\(service.heard.first ?? "nothing")")
    #expect(service.count("STOPPING=1") == 0 && !service.heard.contains { $0.contains("EXTEND_TIMEOUT") })
    kill(process.processIdentifier, SIGTERM)
    #expect(try service.end(process) == 75)
    #expect(service.heard.last?.hasPrefix("STOPPING=1\nSTATUS=stopped, resumes at step ") == true)
    #expect(service.count("READY=1") == 1 && service.count("STOPPING=1") == 1)
    // All of the grace time was asked for, and a moment, but never more.
    let more = service.extensions
    #expect(!more.isEmpty && more.allSatisfy { 25_000_000...30_000_000 ~= $0 }, "\(more)")
    #expect(!service.heard.contains { $0.contains("ERRNO=") })
  }

  /// Nothing moves: the trainer stands still, and the loop waits in its next read for much longer than any
  /// service manager waits. The grace time is asked for all the same, when the signal comes.
  @Test func stopTimeIsRequestedWhileLoopIsBlocked() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start(["--grace", "1h"], ["sleep", "1000"])
    try service.wait(for: "READY") { !$0.isEmpty }
    let supervisor = process.processIdentifier
    let tracer = Process()
    tracer.executableURL = URL(fileURLWithPath: "/usr/bin/strace")
    // Only the main thread, which has the loop.
    tracer.arguments = [
      "-p", "\(supervisor)", "-o", service.bench.base + "/trace", "-e", "trace=read,epoll_wait,epoll_pwait",
      "-e", "inject=read:delay_enter=3600s",
    ]
    try tracer.run()
    defer {
      // It waits for the delay's end itself, and lets go when it is killed.
      kill(tracer.processIdentifier, SIGKILL)
      tracer.waitUntilExit()
    }
    try service.bench.wait(for: "the loop in its read") {
      func isHeld() throws -> Bool {
        try String(contentsOfFile: "/proc/\(supervisor)/status", encoding: .utf8).contains("State:\tt")
      }
      guard try isHeld() else { return false }
      // Every call that is traced stops it, but for a moment only.
      usleep(300_000)
      return try isHeld()
    }
    kill(supervisor, SIGTERM)
    try service.wait(for: "more time") { heard in heard.contains { $0.contains("EXTEND_TIMEOUT_USEC=") } }
    #expect(service.extensions == [3_605_000_000])
    #expect(!service.bench.standardError.contains("stopping"), "the loop knows nothing yet")
  }

  @Test func trainerDoesNotInheritServiceVariables() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start(
      [], ["env"],
      ["WATCHDOG_USEC": "600000", "WATCHDOG_PID": "1", "LISTEN_FDS": "1", "LISTEN_PID": "1", "KEPT": "1"])
    #expect(try service.end(process) == 0)
    let names = service.bench.standardOutput.split(separator: "\n").map { $0.prefix { $0 != "=" } }
    #expect(names.contains("KEPT") && names.contains("HOLDFAST_RUN_DIR"))
    #expect(
      !names.contains { $0 == "NOTIFY_SOCKET" || $0.hasPrefix("WATCHDOG_") || $0.hasPrefix("LISTEN_") })
  }

  @Test func idleTrainerDoesNotStopWatchdogMessages() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start([], ["sleep", "1000"], ["WATCHDOG_USEC": "300000"])
    try service.wait(for: "signs of life") { $0.filter { $0.hasPrefix("WATCHDOG=1") }.count >= 5 }
    kill(process.processIdentifier, SIGTERM)
    #expect(try service.end(process) == 75)
  }

  /// systemd's watchdog sends it; Swift's runtime may have a handler that prints and returns.
  @Test func watchdogSignalEndsSupervisor() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start([], ["sleep", "1000"], environment: ["SWIFT_BACKTRACE": "enable=yes"])
    try bench.wait(for: "the trainer") { bench.trainerPID != nil }
    kill(process.processIdentifier, SIGABRT)
    try bench.wait(for: "the end") { !process.isRunning }
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGABRT)
    try bench.wait(for: "the trainer's end") { bench.leftovers().isEmpty }
  }

  @Test func missingSocketCausesOneWarning() throws {
    let bench = Workbench()
    defer { bench.close() }
    let process = try bench.start(
      [], Self.slow, environment: ["NOTIFY_SOCKET": bench.base + "/nobody", "WATCHDOG_USEC": "soon"])
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let warnings = bench.standardError.split(separator: "\n").filter { $0.contains("warning") }
    #expect(warnings.count { $0.contains("NOTIFY_SOCKET=\(bench.base)/nobody") } == 1, "\(warnings)")
    #expect(warnings.count { $0.contains("WATCHDOG_USEC=soon") } == 1 && warnings.count == 2, "\(warnings)")
  }

  @Test func unreadSocketBlocksNothing() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start(
      ["--config", try service.bench.write("test.toml", "")],
      [Programs.trainer, "--epochs", "8", "--step-delay", "10ms"])
    try service.bench.wait(for: "a step") { try service.bench.status("step") > 0 }
    // Two messages each; a queue holds ten, or some hundreds.
    for count in 1...600 {
      kill(process.processIdentifier, SIGHUP)
      if count % 50 == 0 {
        try service.bench.wait(for: "a word") { service.bench.standardError.contains("nothing changed") }
      }
    }
    try service.bench.wait(for: "the end, unheard") { !process.isRunning }
    #expect(process.terminationStatus == 0)
  }

  @Test func reloadSendsReloadingThenReady() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start(["--config", try service.bench.write("test.toml", "")], Self.slow)
    try service.wait(for: "READY") { !$0.isEmpty }
    kill(process.processIdentifier, SIGHUP)
    try service.wait(for: "the reload's end") { heard in
      guard let index = heard.firstIndex(where: { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") }) else {
        return false
      }
      return heard.dropFirst(index + 1).contains("READY=1")
    }
    #expect(try service.end(process) == 0)
    #expect(service.heard.last == "STOPPING=1\nSTATUS=finished at step 135")
    // At the next boot there is nothing to do: ready, and done.
    let again = try service.start([], Self.slow)
    #expect(try service.end(again) == 0)
    #expect(service.heard.suffix(2) == ["READY=1", "STOPPING=1\nSTATUS=finished at step 135"])
  }

  @Test func failureHasErrno() throws {
    let service = Service()
    defer { service.bench.close() }
    let process = try service.start([], [service.bench.base + "/nothing-here"])
    #expect(try service.end(process) == 127)
    #expect(service.heard.last?.hasPrefix("STOPPING=1\nSTATUS=failed: the command ") == true)
    #expect(service.count("ERRNO=2") == 1 && service.count("READY=1") == 0)
  }
}
