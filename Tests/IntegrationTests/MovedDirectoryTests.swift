import Foundation
import TestSupport
import Testing

/// A job's directories that somebody moves, removes or replaces while it runs. It is said at once, nothing is
/// written to what takes their place, and when they come back all is as before.
@Suite struct MovedDirectoryTests {
  static let length = ["--epochs", "6"]
  static let command = [Programs.trainer] + length + ["--step-delay", "20ms"]
  static let options = ["--stage-every", "50ms", "--every", "200ms"]

  private func start(_ bench: Workbench, _ command: [String] = command) throws -> Process {
    let supervisor = try bench.start(Self.options, command)
    try bench.wait(for: "a durable checkpoint") { bench.standardError.contains("is durable") }
    try pause(bench)
    return supervisor
  }

  /// The trainer waits, however slow the machine is, until something was looked at.
  private func pause(_ bench: Workbench) throws { kill(try #require(bench.trainerPID), SIGSTOP) }
  private func goOn(_ bench: Workbench) throws { kill(try #require(bench.trainerPID), SIGCONT) }

  private func expectEmpty(_ path: String) throws {
    #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [], "nothing is written there")
  }

  /// - Parameter parent: move the directory above it.
  @Test(arguments: [false, true]) func stateDirectoryIsMovedAndReturns(parent: Bool) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let place = "\(bench.base)/parent/state"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      atPath: bench.run, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    // Where its run directory is found without its state.
    let memory = ["XDG_RUNTIME_DIR": bench.run]
    let moved = parent ? "\(bench.base)/parent" : place
    let supervisor = try bench.start(
      program: [Programs.holdfast, "run", "--job", "test", "--state-dir", place] + Self.options + ["--"]
        + Self.command, environment: memory)
    try bench.wait(for: "a durable checkpoint") { bench.standardError.contains("is durable") }
    try pause(bench)
    try FileManager.default.moveItem(atPath: moved, toPath: moved + ".away")
    try bench.wait(for: "the word") { bench.standardError.contains("\(place) was moved away") }
    let away = parent ? "\(bench.base)/parent.away/state" : moved + ".away"
    let status = try bench.holdfast(["status", "--check", "--state-dir", away])
    #expect(status.status == 5 && status.out.contains("Degraded: the state directory"), "\(status)")
    // Commands with its old name report what happened to it.
    let gone = try bench.holdfast(["status", "--state-dir", place], environment: memory)
    #expect(gone.status == 74 && gone.err.contains("kill -TERM \(supervisor.processIdentifier)"), "\(gone)")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try goOn(bench)
    try bench.wait(for: "another try") { bench.standardError.contains("no checkpoint can be made durable") }
    try pause(bench)
    try expectEmpty(place)
    try FileManager.default.removeItem(atPath: moved)
    try FileManager.default.moveItem(atPath: moved + ".away", toPath: moved)
    try bench.wait(for: "the recovery") {
      bench.standardError.contains("state directory is back in place")
    }
    try goOn(bench)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    let verify = try bench.holdfast(["checkpoints", "verify", "--state-dir", place])
    #expect(verify.status == 0, "\(verify)")
  }

  /// The trainer ends, which is not reported as success.
  @Test func stateDirectoryIsRemoved() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try start(bench)
    try bench.wait(for: "its removal") { rmdirTree(bench.state) }
    try bench.wait(for: "the word") { bench.standardError.contains("\(bench.state) was removed") }
    try FileManager.default.createDirectory(atPath: bench.state, withIntermediateDirectories: true)
    try goOn(bench)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 74, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    try expectEmpty(bench.state)
  }

  /// The publisher may be making a file in it.
  private func rmdirTree(_ path: String) -> Bool {
    try? FileManager.default.removeItem(atPath: path)
    return !FileManager.default.fileExists(atPath: path)
  }

  /// It has no checkpoints that could fail.
  @Test func stateDirectoryOfProgramWithoutProtocolIsRemoved() throws {
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(
      [], ["/bin/sh", "-c", "while [ ! -e \(bench.base)/go ]; do sleep 0.05; done"])
    try bench.wait(for: "the program") { bench.trainerPID != nil }
    try bench.wait(for: "its removal") { rmdirTree(bench.state) }
    try bench.wait(for: "the word") { bench.standardError.contains("\(bench.state) was removed") }
    _ = try bench.write("go", "")
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 74, "\(bench.standardError)")
  }

  /// It is made again, and what comes next is staged in it.
  @Test func runDirectoryIsRemoved() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try start(bench)
    try bench.wait(for: "its removal") { rmdirTree(bench.run) }
    try bench.wait(for: "the word") { bench.standardError.contains("the run directory was created again") }
    #expect(bench.standardError.contains("\(bench.run) was removed"))
    try goOn(bench)
    try bench.wait(for: "a staged image") { (try? bench.slot(0))?.complete == 1 }
    // Another job must not have it.
    let other = try bench.holdfast(
      [
        "run", "--job", "other", "--state-dir", bench.base + "/other", "--run-dir", bench.run, "--",
        "/bin/true",
      ])
    #expect(other.status == 73 && other.err.contains("used by another job"), "\(other.err)")
    kill(try #require(bench.trainerPID), SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// An empty one takes its place.
  private func replaceRunDirectory(of bench: Workbench, movingItTo away: String) throws {
    try FileManager.default.moveItem(atPath: bench.run, toPath: away)
    try FileManager.default.createDirectory(
      atPath: bench.run, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try bench.wait(for: "the word") { bench.standardError.contains("\(bench.run) was moved away") }
  }

  @Test func runDirectoryIsMovedAndReturns() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try start(bench)
    let away = bench.run + ".away"
    defer { try? FileManager.default.removeItem(atPath: away) }
    try replaceRunDirectory(of: bench, movingItTo: away)
    try expectEmpty(bench.run)
    try FileManager.default.removeItem(atPath: bench.run)
    try FileManager.default.moveItem(atPath: away, toPath: bench.run)
    try bench.wait(for: "the recovery") { bench.standardError.contains("run directory is back in place") }
    try goOn(bench)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
  }

  /// What the trainer starts is written down beside the ring, at pauses of two seconds at most.
  @Test func censusIsNotWrittenToReplacement() throws {
    let bench = Workbench()
    defer { bench.close() }
    let script = try bench.write(
      "trainer", "#!/bin/bash\n(while :; do sleep 0.3; done) &\nexec \(Programs.trainer) --epochs 1000\n",
      executable: true)
    let supervisor = try bench.start(Self.options, [script])
    let record = bench.run + "/trainer.json"
    try bench.wait(for: "the first of them on record") {
      (try? String(contentsOfFile: record, encoding: .utf8))?.contains(#""others":[{"#) == true
    }
    let away = bench.run + ".away"
    defer { try? FileManager.default.removeItem(atPath: away) }
    try replaceRunDirectory(of: bench, movingItTo: away)
    sleep(3)
    #expect(supervisor.isRunning)
    #expect(!FileManager.default.fileExists(atPath: record), "nothing is written there")
    kill(supervisor.processIdentifier, SIGTERM)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 75, "\(bench.standardError)")
  }

  /// The next attempt has a new one.
  @Test func runDirectoryIsMovedPermanently() async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try start(bench)
    let away = bench.run + ".away"
    defer { try? FileManager.default.removeItem(atPath: away) }
    try FileManager.default.moveItem(atPath: bench.run, toPath: away)
    try bench.wait(for: "the word") { bench.standardError.contains("\(bench.run) was moved away") }
    kill(try #require(bench.trainerPID), SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    #expect(bench.standardError.contains("attempt 2 resumed from step"))
  }

  /// Whoever may write to a directory on the way could put another one in its place.
  @Test(
    .enabled(if: geteuid() == 0, "root is needed to give a directory to another user"),
    arguments: [
      "chmod 777 shared", "chmod 775 shared; chgrp 4242 shared", "chown 4242 shared",
      "chmod 1777 shared; mkdir shared/deep; chown 4242 shared/deep",
      "mv shared real; ln -s real shared; chown -h 4242 shared",
      "mv shared real; ln -s real shared; chmod 777 real",
    ])
  func runDirectoryBelowUntrustedDirectory(spoil: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let made = try bench.shell("cd \(bench.base) && mkdir shared && \(spoil)")
    try #require(made.status == 0, "\(made.err)")
    let run = "\(bench.base)/shared/deep/run"
    let result = try bench.holdfast(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", run, "--", "/bin/true"])
    #expect(result.status == 73 && result.err.contains("not private to this user"), "\(result.err)")
    #expect(result.err.contains("may write to it") || result.err.contains("belongs to user 4242"))
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test func runDirectoryBelowSharedDirectoryOrOwnLink() throws {
    let bench = Workbench()
    defer { bench.close() }
    let made = try bench.shell("cd \(bench.base) && mkdir real && chmod 1777 real && ln -s real shared")
    try #require(made.status == 0, "\(made.err)")
    let result = try bench.holdfast(
      [
        "run", "--job", "test", "--state-dir", bench.state, "--run-dir", "\(bench.base)/shared/deep/run",
        "--",
        "/bin/true",
      ])
    #expect(result.status == 0, "\(result.err)")
  }
}
