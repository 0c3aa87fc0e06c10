import Foundation
import Testing

/// A Python trainer that hangs is asked where, before it is killed.
@Suite struct StacksTests {
  static let python = ProcessInfo.processInfo.environment["HOLDFAST_TEST_PYTHON"] ?? "/usr/bin/python3"
  static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Sources/holdfast-python/src").path

  /// Hangs once, in `stuck`, after 20 steps.
  static let program = """
    import os, sys, time
    import holdfast
    from holdfast import _failures
    marker, stacks = sys.argv[1], os.environ["HOLDFAST_RUN_DIR"] + "/stacks-0"

    def offer(signal):
        _failures.stacks_signal = lambda directory, rank: signal

    def stuck():
        if not os.path.exists(marker):
            open(marker, "w").close()
            time.sleep(1000)

    PREPARATION
    run = holdfast.attach()
    total = {"value": 0}
    run.register(total=total)
    for epoch in run.epochs(1):
        for batch in run.batches(40):
            if batch == 20:
                stuck()
            total["value"] += batch
            run.step(state=True)
    print("digest", total["value"], flush=True)
    """

  private func start(
    _ bench: Workbench, stepTimeout: String = "1s", preparation: String = "", launcher: [String] = []
  ) throws -> Process {
    let text = Self.program.replacingOccurrences(of: "PREPARATION", with: preparation)
    let script = try bench.write("train.py", text)
    return try bench.start(
      ["--step-timeout", stepTimeout], launcher + [Self.python, script, bench.base + "/marker"],
      environment: ["PYTHONPATH": Self.package])
  }

  private func finish(
    _ bench: Workbench, preparation: String = "", launcher: [String] = []
  ) throws -> [String: Any] {
    try end(bench, try start(bench, preparation: preparation, launcher: launcher))
  }

  /// - Returns: its first attempt.
  private func end(_ bench: Workbench, _ supervisor: Process) throws -> [String: Any] {
    try bench.wait(for: "the end") { !supervisor.isRunning }
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == "digest 780")
    #expect(bench.leftovers().isEmpty)
    let first = try #require(try bench.attempts().first)
    #expect(first["cause"] as? String == "hang")
    #expect(first["signal"] as? Int == 9)
    return first
  }

  /// A shell between us has no handler for the signal, and would end by it. What is below us needs no mark of
  /// the job in its environment.
  @Test(arguments: [
    [], ["/bin/bash", "-c", "\"$@\"; exit $?", "bash"], ["/usr/bin/env", "-u", "HOLDFAST_JOB_ID"],
  ])
  func historyShowsWhereItHung(launcher: [String]) throws {
    let bench = Workbench()
    defer { bench.close() }
    let first = try finish(bench, launcher: launcher)
    let failure = try #require(first["failure"] as? [String: Any])
    #expect(failure["type"] as? String == "hang")
    #expect((failure["message"] as? String)?.hasPrefix("no step for ") == true)
    let history = try bench.holdfast(["history", "--attempt", "1", "--state-dir", bench.state])
    #expect(history.out.contains("train.py") && history.out.contains("in stuck"), "\(history)")
    // The attempt after it had none.
    #expect(try bench.attempts().last?["failure"] is NSNull)
  }

  /// Signals of the supervisor, signals that end the process, and one without a handler.
  @Test(arguments: [0, 2, 9, 10, 15, 33, 65, 1 << 40, -12, 12, 40])
  func invalidOfferedSignalIsNotSent(signal: Int) throws {
    let bench = Workbench()
    defer { bench.close() }
    #expect(try finish(bench, preparation: "offer(\(signal))")["failure"] is NSNull)
  }

  @Test func linkInPlaceOfStacksIsNotFollowed() throws {
    let bench = Workbench()
    defer { bench.close() }
    let secret = try bench.write("secret", "the secret\n")
    let preparation = Self.replacing("os.symlink('\(secret)', stacks)")
    #expect(try finish(bench, preparation: preparation)["failure"] is NSNull)
    #expect(bench.standardError.contains("cannot read the stacks"))
  }

  /// One that is there before is not written through either.
  @Test func existingLinkIsReplaced() throws {
    let bench = Workbench()
    defer { bench.close() }
    let secret = try bench.write("secret", "the secret\n")
    let first = try finish(bench, preparation: "os.symlink('\(secret)', stacks)")
    #expect((first["failure"] as? [String: Any])?["type"] as? String == "hang")
    #expect(try String(contentsOfFile: secret, encoding: .utf8) == "the secret\n")
  }

  /// Puts something else in the file's place when it was opened.
  private static func replacing(_ command: String) -> String {
    """
    real = _failures.stacks_signal
    def replaced(directory, rank):
        signal = real(directory, rank)
        os.remove(stacks)
        \(command)
        return signal
    _failures.stacks_signal = replaced
    """
  }

  /// Opening a pipe without a writer blocks forever.
  @Test func pipeInPlaceOfStacksDoesNotBlock() throws {
    let bench = Workbench()
    defer { bench.close() }
    let preparation = Self.replacing("os.mkfifo(stacks)")
    #expect(try finish(bench, preparation: preparation)["failure"] is NSNull)
  }

  /// The next attempt removes what has the name, and not where it leads.
  @Test func targetOfLinkIsNotRemoved() throws {
    let bench = Workbench()
    defer { bench.close() }
    let secret = try bench.write("secret", "the secret\n")
    let preparation = "os.symlink(os.path.dirname('\(secret)'), stacks); offer(None)"
    #expect(try finish(bench, preparation: preparation)["failure"] is NSNull)
    #expect(try String(contentsOfFile: secret, encoding: .utf8) == "the secret\n")
  }

  @Test func endOfLongStacksIsRetained() throws {
    let bench = Workbench()
    defer { bench.close() }
    // It is appended to: the file was opened before.
    let preparation = """
      real = _failures.stacks_signal
      def flooded(directory, rank):
          signal = real(directory, rank)
          with open(stacks, "w") as file:
              file.write("flood\\n" * 100_000 + "\\x1b[31mred\\n")
          import faulthandler
          faulthandler.register(signal, file=open(stacks, "a"), all_threads=True)
          return signal
      _failures.stacks_signal = flooded
      """
    let failure = try #require(try finish(bench, preparation: preparation)["failure"] as? [String: Any])
    let traceback = try #require(failure["traceback"] as? String)
    #expect(traceback.contains("in stuck") && traceback.utf8.count <= 40_000)
    #expect(traceback.contains("[31mred") && !traceback.contains("\u{1b}"))
  }

  /// A trainer names another process, which has a handler. It is asked where its environment has this job's
  /// id, as one that a launcher started on our behalf has, and left alone if not.
  @Test(arguments: [true, false]) func onlyProcessOfTheJobIsSignaled(isOfTheJob: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    // Ten times that until the first step, for which the other process must have begun.
    let supervisor = try start(
      bench, stepTimeout: "4s",
      preparation: """
        base = os.path.dirname(marker)
        with open(base + "/job.new", "w") as file:
            file.write(os.environ["HOLDFAST_JOB_ID"])
        os.rename(base + "/job.new", base + "/job")
        while not os.path.exists(base + "/ready"):
            time.sleep(0.01)
        from holdfast._run import Run
        real = Run._publish_attached
        def publish(run, record):
            real(run, {**record, "pid": int(open(base + "/ready").read())})
        Run._publish_attached = publish
        """)
    try bench.wait(for: "the job's id") { FileManager.default.fileExists(atPath: bench.base + "/job") }
    let other = Process()
    other.executableURL = URL(fileURLWithPath: Self.python)
    let id = try String(contentsOfFile: bench.base + "/job", encoding: .utf8)
    other.environment = ["HOLDFAST_JOB_ID": isOfTheJob ? id : String(id.reversed())]
    other.arguments = [
      "-c",
      """
      import os, signal, sys, time
      # A thread of Swift's pool leaves its children a mask in which nearly all is blocked.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      signal.signal(signal.SIGUSR2, lambda *_: open(sys.argv[1] + "/asked", "w").close())
      with open(sys.argv[1] + "/ready.new", "w") as file:
          file.write(str(os.getpid()))
      os.rename(sys.argv[1] + "/ready.new", sys.argv[1] + "/ready")
      while True:
          time.sleep(1000)
      """, bench.base,
    ]
    try other.run()
    defer {
      kill(other.processIdentifier, SIGKILL)
      other.waitUntilExit()
    }
    #expect(try end(bench, supervisor)["failure"] is NSNull)
    #expect(FileManager.default.fileExists(atPath: bench.base + "/asked") == isOfTheJob)
    #expect(other.isRunning)
  }
}
