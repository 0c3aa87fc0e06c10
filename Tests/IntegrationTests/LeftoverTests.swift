import Foundation
import Testing

/// Never two trainers: what outlives a supervisor that is killed, where no cgroup is delegated. The trainer loses its
/// parent-death signal (as behind sudo and su), its environment, its session, its parent.
@Suite struct LeftoverTests {
  static let options = ["--stage-every", "20ms", "--every", "200ms"]

  /// A program that writes its pid and then does nothing; after another one was started it is a second trainer.
  private static func sleeper(_ bench: Workbench) throws -> String {
    try bench.write(
      "sleeper", "#!/bin/bash\necho $$ >> \(bench.base)/pids\nwhile :; do sleep 1000 & wait; done\n",
      executable: true)
  }

  private func pids(_ bench: Workbench) -> [Int32] {
    let text = (try? String(contentsOfFile: bench.base + "/pids", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { Int32($0) }
  }

  private func isAlive(_ pid: Int32) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
    return text.split(separator: ")").last?.hasPrefix(" Z") == false
  }

  /// With what they sleep in.
  private func end(_ pids: [Int32]) {
    for pid in pids {
      let children = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
      for pid in [pid] + children.split(separator: " ").compactMap({ Int32($0) }) { kill(pid, SIGKILL) }
    }
  }

  private func start(_ bench: Workbench, _ command: [String]) throws -> (supervisor: Process, trainer: Int32)
  {
    let supervisor = try bench.start([], command)
    try bench.wait(for: "the trainer") { !pids(bench).isEmpty }
    return (supervisor, pids(bench)[0])
  }

  /// Until the next look at what the trainer started is over.
  private func awaitCensus(_ bench: Workbench, of pid: Int32) throws {
    try bench.wait(for: "pid \(pid) on record") {
      let text = (try? String(contentsOfFile: bench.run + "/trainer.json", encoding: .utf8)) ?? ""
      return text.contains("\"pid\":\(pid),")
    }
  }

  private static let ways: [[String]] = [
    ["setpriv", "--pdeathsig", "clear"],
    ["setpriv", "--pdeathsig", "clear", "env", "-i"],
    ["env", "-i", "setsid", "--wait"],
    // Twice forked, with a session and an environment of its own, and no parent but the supervisor.
    ["sh", "-c", "env -i setsid --fork \"$0\" & sleep 1000"],
  ]

  @Test(arguments: ways) func survivingTrainerIsKilledBeforeNextStart(way: [String])
    throws
  {
    let bench = Workbench()
    defer { bench.close() }
    let command = way + [try Self.sleeper(bench)]
    let (supervisor, old) = try start(bench, command)
    try awaitCensus(bench, of: old)
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    defer { end(pids(bench)) }
    #expect(isAlive(old), "it is what it is about")
    let next = try bench.start([], command)
    try bench.wait(for: "the next trainer") { pids(bench).count == 2 }
    #expect(!isAlive(old), "\(bench.standardError)")
    kill(next.processIdentifier, SIGTERM)
    next.waitUntilExit()
    #expect(next.terminationStatus == 75 && !pids(bench).contains(where: isAlive), "\(bench.standardError)")
  }

  /// The original continues, and so does its copy: two jobs.
  @Test func copyDoesNotTouchTrainerOfOriginal() throws {
    let bench = Workbench()
    let copy = Workbench()
    defer { bench.close() }
    defer { copy.close() }
    let (supervisor, original) = try start(bench, [try Self.sleeper(bench)])
    defer { end(pids(bench) + pids(copy)) }
    try FileManager.default.copyItem(atPath: bench.state, toPath: copy.state)
    let second = try copy.start([], [try Self.sleeper(copy)])
    try copy.wait(for: "the copy's trainer") { !pids(copy).isEmpty }
    #expect(isAlive(original) && supervisor.isRunning, "\(copy.standardError)")
    kill(second.processIdentifier, SIGTERM)
    second.waitUntilExit()
    #expect(isAlive(original))
  }

  /// Which of the two it belongs to is unknown once the original is gone.
  @Test func copyOfRemovedOriginalRefusesToStart() throws {
    let bench = Workbench()
    let copy = Workbench()
    defer { bench.close() }
    defer { copy.close() }
    let (supervisor, old) = try start(bench, ["setpriv", "--pdeathsig", "clear", try Self.sleeper(bench)])
    defer { end(pids(bench) + pids(copy)) }
    try FileManager.default.copyItem(atPath: bench.state, toPath: copy.state)
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    try FileManager.default.removeItem(atPath: bench.state)
    #expect(try copy.supervise([], [try Self.sleeper(copy)]) == 73)
    #expect(isAlive(old) && pids(copy).isEmpty)
    #expect(copy.standardError.contains("kill -KILL \(old)"), "\(copy.standardError)")
  }

  /// Removed under a living job, or replaced: the living one is found, whatever its trainer hides.
  @Test(arguments: [["env", "-i"], []], [false, true])
  func removedDirectoriesStartNoSecondTrainer(way: [String], isSupervisorGone: Bool) throws {
    // Without directories, environment and supervisor nothing is left to know it by but its death signal.
    let way = isSupervisorGone ? ["setpriv", "--pdeathsig", "clear"] : way
    let bench = Workbench()
    defer { bench.close() }
    let command = way + [try Self.sleeper(bench)]
    let (supervisor, old) = try start(bench, command)
    defer { end(pids(bench)) }
    for path in [bench.state, bench.run] { try FileManager.default.removeItem(atPath: path) }
    if isSupervisorGone {
      kill(supervisor.processIdentifier, SIGKILL)
      supervisor.waitUntilExit()
    }
    let result = try bench.holdfast(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--"] + command)
    #expect(result.status == 73, "\(result.err)")
    #expect(pids(bench) == [old] && isAlive(old))
    let named = isSupervisorGone ? old : supervisor.processIdentifier
    #expect(result.err.contains("\(named)") && result.err.contains("kill -"), "\(result.err)")
  }

  /// A person's shell that has the trainer's environment: it is theirs to end.
  @Test func shellWithTrainerEnvironmentIsNotKilled() throws {
    let bench = Workbench()
    defer { bench.close() }
    // On a terminal and in a session of its own, as a debugger's or tmux's.
    let shell =
      "setpriv --pdeathsig clear setsid script -qfc 'echo $$ >> \(bench.base)/shell; sleep 1000' /dev/null"
    let sleeper = try Self.sleeper(bench)
    let command = ["bash", "-c", "\(shell) </dev/null >/dev/null & disown; exec \(sleeper)"]
    let (supervisor, _) = try start(bench, command)
    try bench.wait(for: "the shell") { FileManager.default.fileExists(atPath: bench.base + "/shell") }
    let text = try String(contentsOfFile: bench.base + "/shell", encoding: .utf8)
    let person = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    defer { end([person] + pids(bench)) }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    try bench.wait(for: "the trainer's end") { !isAlive(pids(bench)[0]) }
    #expect(try bench.supervise([], command) == 73)
    #expect(isAlive(person) && pids(bench).count == 1)
    #expect(bench.standardError.contains("\(person)"), "\(bench.standardError)")
  }

  /// Processes that cannot be seen are not processes that are not there.
  @Test func unreadableProcStartsNothing() throws {
    guard geteuid() == 0 else { return }
    let bench = Workbench()
    defer { bench.close() }
    let command = ["setpriv", "--pdeathsig", "clear", try Self.sleeper(bench)]
    let (supervisor, old) = try start(bench, command)
    defer { end(pids(bench)) }
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    // In a namespace of its own with the /proc of another one, which shows it neither itself nor its children.
    let masked = try Workbench.run(
      "/usr/bin/unshare",
      [
        "--pid", "--fork", "--kill-child", Programs.holdfast, "run", "--job", "test", "--state-dir",
        bench.state,
        "--run-dir", bench.run, "--",
      ] + command)
    #expect(masked.status == 73, "\(masked.err)")
    #expect(masked.err.contains("/proc") && pids(bench) == [old] && isAlive(old), "\(masked.err)")
  }

  /// `hidepid=2`, and a trainer that became another user: neither it nor what it started is to be seen.
  @Test(.enabled(if: geteuid() == 0, "root is needed to mount /proc"), arguments: [false, true])
  func hiddenProcessPreventsStart(belowAShell: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    defer { end(pids(bench)) }
    // Root's by its file mode, as sudo is.
    let privileged = bench.base + "/privileged"
    let sleeper = try Self.sleeper(bench)
    let made = try bench.shell(
      """
      set -e; cp /bin/dash \(privileged); chmod 4755 \(privileged); touch \(bench.base)/pids
      mkdir -p \(bench.state) \(bench.run); chmod 777 \(bench.base) \(bench.base)/pids
      chown 65534 \(bench.state) \(bench.run); chmod 700 \(bench.run)
      """)
    try #require(made.status == 0, "\(made.err)")
    let trainer = "\(privileged) -p -c '\(sleeper) & wait'"
    let script = try bench.write("script", "#!/bin/sh\n\(trainer)\ntrue\n", executable: true)
    let command =
      "\(Programs.holdfast) run --job test --state-dir \(bench.state) --run-dir \(bench.run) -- "
      + (belowAShell ? script : trainer)
    func confined(_ script: String) throws -> (status: Int32, out: String, err: String) {
      try Workbench.run(
        "/usr/bin/unshare",
        [
          "--mount", "--propagation", "private", "sh", "-c",
          "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "
            + "\"$0\"", script,
        ])
    }
    let first = try confined(
      """
      \(command) > /dev/null 2>&1 & supervisor=$!
      for i in $(seq 600); do grep -q '"has_hidden":true' \(bench.run)/trainer.json 2>/dev/null && break; sleep 0.1; done
      kill -KILL $supervisor
      """)
    let old = try #require(pids(bench).first, "\(first)")
    #expect(isAlive(old))
    let record = try String(contentsOfFile: bench.run + "/trainer.json", encoding: .utf8)
    #expect(record.contains(#""has_hidden":true"#), "\(record)")
    // Whoever ends only what can be named still has the trainer, and no second one.
    for _ in 0..<2 {
      let again = try confined("timeout --signal=KILL 30 \(command)")
      #expect(again.status == 73 && pids(bench) == [old] && isAlive(old), "\(again.err)")
      _ = try bench.shell("pkill -KILL -f '^\(privileged) '; true")
    }
  }

  /// Some process has hundreds of files open and locked: each of them is looked at once, not once for each lock.
  @Test(.enabled(if: access("/usr/bin/strace", X_OK) == 0, "strace is needed"))
  func processWithManyLocksDoesNotDelayStart() throws {
    let bench = Workbench()
    defer { bench.close() }
    let holder = Process()
    holder.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    holder.arguments = [
      "-c",
      """
      import fcntl, sys, time
      files = [open(f"{sys.argv[1]}/lock{i}", "w") for i in range(300)]
      for file in files: fcntl.flock(file, fcntl.LOCK_EX)
      open(f"{sys.argv[1]}/locked", "w")
      time.sleep(1000)
      """, bench.base,
    ]
    try holder.run()
    defer {
      kill(holder.processIdentifier, SIGKILL)
      holder.waitUntilExit()
    }
    try bench.wait(for: "the locks") { FileManager.default.fileExists(atPath: bench.base + "/locked") }
    let result = try bench.shell(
      "strace -f -qq -o \(bench.base)/trace -e trace=readlink,readlinkat \(Programs.holdfast) run --job test "
        + "--state-dir \(bench.state) --run-dir \(bench.run) -- true")
    #expect(result.status == 0, "\(result)")
    let trace = try String(contentsOfFile: bench.base + "/trace", encoding: .utf8)
    let looks = trace.split(separator: "\n").count { $0.contains("/proc/\(holder.processIdentifier)/fd/") }
    // Two files are looked for: the ring, and the lock of a state directory that was replaced.
    #expect(300...1500 ~= looks, "\(looks)")
  }
}
