import Foundation
import TestSupport
import Testing

/// A pipe, a device, a link, a directory, a socket in the place of each of our files, at the start and while
/// the job runs: nobody waits for one, nothing is written through one, and the run has the same bits.
@Suite struct MisplacedFileTests {
  static let length = ["--epochs", "2"]
  static let command = [Programs.trainer] + length + ["--step-delay", "15ms"]
  static let options = ["--stage-every", "20ms", "--every", "200ms"]

  enum Kind: String, CaseIterable {
    case pipe, device, link, danglingLink, linkToPipe, hardLink, directory, socket

    /// Makes one, in the place of what is there.
    func script(_ path: String, _ base: String) -> String {
      let command =
        switch self {
        case .pipe: "mkfifo '\(path)'"
        // Making one takes root; then a pipe has to do.
        case .device: "mknod '\(path)' c 1 3 2>/dev/null || mkfifo '\(path)'"
        case .link: "ln -s \(base)/canary '\(path)'"
        case .danglingLink: "ln -s \(base)/nowhere '\(path)'"
        case .linkToPipe: "ln -s \(base)/pipe '\(path)'"
        // Only within one file system.
        case .hardLink: "ln \(base)/canary '\(path)' 2>/dev/null || ln -s \(base)/canary '\(path)'"
        case .directory: "mkdir '\(path)'; ln -s \(base) '\(path)/link'; touch '\(path)/x'"
        case .socket:
          // Made once, then linked, in its directory: a socket's path is short.
          "cd \(NSString(string: path).deletingLastPathComponent); [ -S .socket ] || "
            + "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\".socket\")'; ln .socket '\(path)'"
        }
      return "rm -rf '\(path)'; \(command)\n"
    }
  }

  static let ofTheRun = [
    "ring-0", "ring-0.new", "arena-0-0", "arena-0-1", "resume.json", "resume.json.new", "degraded.json",
    "degraded.json.new", "snapshot-0.safetensors", "snapshot-0.safetensors.new", "stacks-0",
  ]

  private func put(_ kind: Kind, _ paths: [String], _ bench: Workbench) throws {
    let prepare =
      "[ -e \(bench.base)/canary ] || { echo precious > \(bench.base)/canary; mkfifo \(bench.base)/pipe; }\n"
    let result = try bench.shell(prepare + paths.map { kind.script($0, bench.base) }.joined())
    try #require(result.status == 0, "\(result.err)")
  }

  private func expectNothingElseTouched(_ bench: Workbench, _ kind: Kind) throws {
    #expect(try String(contentsOfFile: bench.base + "/canary", encoding: .utf8) == "precious\n", "\(kind)")
    #expect(!FileManager.default.fileExists(atPath: bench.base + "/nowhere"), "\(kind)")
    let names = Set(try FileManager.default.contentsOfDirectory(atPath: bench.base))
    #expect(names.isSubset(of: ["canary", "pipe", "state", "out", "err", "metrics"]), "\(names)")
  }

  @Test(arguments: Kind.allCases) func inTheRunDirectoryAtTheStart(kind: Kind) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    try FileManager.default.createDirectory(
      atPath: bench.run, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try put(kind, Self.ofTheRun.map { "\(bench.run)/\($0)" }, bench)
    #expect(try bench.supervise(Self.options, Self.command) == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    try expectNothingElseTouched(bench, kind)
  }

  /// While it runs, and when its trainer is killed.
  @Test(arguments: Kind.allCases) func inTheRunDirectoryWhileItRuns(kind: Kind) async throws {
    let expected = try await Undisturbed.shared.digest(Self.length)
    let bench = Workbench()
    defer { bench.close() }
    let supervisor = try bench.start(Self.options, Self.command)
    try bench.wait(for: "a staged step") { try bench.status("staged_step") > 0 }
    let trainer = try #require(bench.trainerPID)
    // It makes no step meanwhile: on a busy machine the job would be over.
    kill(trainer, SIGSTOP)
    try put(kind, Self.ofTheRun.map { "\(bench.run)/\($0)" }, bench)
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status == 0)
    kill(trainer, SIGKILL)
    supervisor.waitUntilExit()
    #expect(supervisor.terminationStatus == 0, "\(bench.standardError)")
    #expect(digest(in: bench.standardOutput) == expected)
    try expectNothingElseTouched(bench, kind)
  }

  /// The lock is never replaced: a process that had it open would hold an unlinked one.
  @Test(arguments: [Kind.pipe, .device, .link, .danglingLink, .directory, .socket], ["state", "run"])
  func inPlaceOfTheLock(kind: Kind, place: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let directory = place == "state" ? bench.state : bench.run
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try put(kind, [directory + "/lock"], bench)
    let result = try bench.holdfast(
      ["run", "--job", "test", "--state-dir", bench.state, "--run-dir", bench.run, "--", Programs.trainer])
    #expect(result.status == 73 && result.err.contains("cannot create the job's lock"), "\(result.err)")
    #expect(result.err.contains("why: it is a ") && result.err.contains("hint: move it away: mv"))
    try expectNothingElseTouched(bench, kind)
  }

  /// Under a live job: neither `status` nor the job itself waits for it.
  @Test(arguments: [Kind.pipe, .danglingLink]) func inPlaceOfTheLockWhileItRuns(kind: Kind) throws {
    let bench = Workbench()
    defer { bench.close() }
    try bench.start([], [Programs.trainer, "--epochs", "1000", "--step-delay", "15ms"])
    try bench.wait(for: "a step") { try bench.status("step") > 0 }
    try put(kind, [bench.state + "/lock", bench.run + "/lock"], bench)
    let status = try bench.holdfast(["status", "--state-dir", bench.state])
    #expect(status.status == 74 && status.err.contains("cannot determine whether"), "\(status.err)")
    try expectNothingElseTouched(bench, kind)
  }

  /// Damage to the store, whatever is made of that.
  @Test(arguments: Kind.allCases.filter { $0 != .hardLink }, ["data.mdb", "lock.mdb"])
  func inPlaceOfTheStore(kind: Kind, name: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let store = bench.state + "/store"
    try FileManager.default.createDirectory(atPath: store, withIntermediateDirectories: true)
    try put(kind, ["\(store)/\(name)"], bench)
    let status = try bench.supervise([], [Programs.trainer, "--epochs", "1"])
    #expect(status == 65 || status == 0, "\(bench.standardError)")
    let told = try bench.holdfast(["status", "--state-dir", bench.state])
    #expect(told.status == 65 || told.status == 0, "\(told.err)")
    try expectNothingElseTouched(bench, kind)
  }

  /// What is a link there would have everything of the job written, renamed and removed elsewhere.
  @Test(arguments: ["store", "checkpoints", "runs"]) func aLinkInPlaceOfADirectory(name: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let elsewhere = bench.base + "/elsewhere"
    for path in [bench.state, elsewhere + "/.publishing-0"] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    symlink(elsewhere, "\(bench.state)/\(name)")
    #expect(try bench.supervise([], [Programs.trainer, "--epochs", "1"]) == 73, "\(bench.standardError)")
    #expect(bench.standardError.contains("it is a symbolic link"))
    #expect(bench.standardError.contains("hint: use that place for the whole state directory"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere) == [".publishing-0"])
  }

  /// The state directory itself is named by the user, and so is a configuration file.
  @Test func linksOfTheUser() throws {
    let bench = Workbench()
    defer { bench.close() }
    try FileManager.default.createDirectory(atPath: bench.base + "/disk", withIntermediateDirectories: true)
    symlink(bench.base + "/disk", bench.state)
    let file = try bench.write(
      "file.toml",
      """
      command = ["\(Programs.trainer)", "--epochs", "1"]
      [job]
      state-dir = "\(bench.state)"
      run-dir = "\(bench.run)"
      """)
    symlink(file, bench.base + "/link.toml")
    let result = try bench.holdfast(["run", "--config", bench.base + "/link.toml"])
    #expect(result.status == 0, "\(result.err)")
    #expect(FileManager.default.fileExists(atPath: bench.base + "/disk/store/data.mdb"))
    #expect(try bench.holdfast(["status", "--state-dir", bench.state]).status == 0)
  }

  /// A collector's directory may be writable for others: what they put there is not written to.
  @Test(arguments: [Kind.pipe, .link, .danglingLink, .hardLink]) func besideTheMetricsFile(kind: Kind) throws
  {
    let bench = Workbench()
    defer { bench.close() }
    let directory = bench.base + "/metrics"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try put(kind, [directory + "/x.prom", directory + "/x.prom.new"], bench)
    let status = try bench.supervise(
      ["--metrics-file", directory + "/x.prom"], [Programs.trainer, "--epochs", "1"])
    #expect(status == 0, "\(bench.standardError)")
    #expect(try String(contentsOfFile: directory + "/x.prom", encoding: .utf8).contains("holdfast_up"))
    try expectNothingElseTouched(bench, kind)
  }
}
