import Foundation
import Testing

/// Where the built programs are: the release build where scripts/test made one.
enum Programs {
  static let directory: String = {
    if let named = ProcessInfo.processInfo.environment["HOLDFAST_TEST_BIN"] { return named }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug").path
  }()
  static var holdfast: String { directory + "/holdfast" }
  static var trainer: String { directory + "/digits-trainer" }
  static var faulty: String { directory + "/FaultyTrainer" }
}

/// A place for one job: its directories, the supervisor's processes, and what they said. Everything
/// is gone when it is closed.
final class Workbench {
  let state: String
  let run: String
  let base: String
  private var supervisor: Process?

  init() {
    base = NSTemporaryDirectory() + "holdfast-test-" + UUID().uuidString
    state = base + "/state"
    run = "/dev/shm/holdfast-test-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
  }

  deinit { close() }

  func close() {
    if let supervisor, supervisor.isRunning {
      kill(supervisor.processIdentifier, SIGKILL)
      supervisor.waitUntilExit()
    }
    supervisor = nil
    for path in [base, run] { try? FileManager.default.removeItem(atPath: path) }
  }

  var standardOutput: String { text("out") }
  var standardError: String { text("err") }

  private func text(_ name: String) -> String {
    (try? String(contentsOfFile: "\(base)/\(name)", encoding: .utf8)) ?? ""
  }

  func write(_ name: String, _ text: String, executable: Bool = false) throws -> String {
    let path = "\(base)/\(name)"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    if executable { chmod(path, 0o755) }
    return path
  }

  // MARK: Supervisors

  /// Runs a job with a configuration file to its end.
  /// - Returns: the path of the file.
  func runFile(_ text: String) throws -> String {
    let file = try write("job.toml", text)
    let result = try holdfast(
      ["run", "--config", file, "--job", "test", "--state-dir", state, "--run-dir", run])
    #expect(result.status == 0, "\(result.err)")
    return file
  }

  /// Starts `holdfast run` with `options` for `command`; its output is added to what there is.
  @discardableResult
  func start(
    _ options: [String] = [], _ command: [String], environment: [String: String] = [:]
  ) throws -> Process {
    try start(
      program: [Programs.holdfast, "run", "--job", "test", "--state-dir", state, "--run-dir", run] + options
        + ["--"] + command, environment: environment)
  }

  /// Starts what becomes a supervisor in the end.
  func start(program: [String], environment: [String: String] = [:]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program[0])
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.arguments = Array(program.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try appending("out")
    process.standardError = try appending("err")
    try process.run()
    supervisor = process
    return process
  }

  private func appending(_ name: String) throws -> FileHandle {
    let path = "\(base)/\(name)"
    if !FileManager.default.fileExists(atPath: path) {
      _ = FileManager.default.createFile(atPath: path, contents: nil)
    }
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    return handle
  }

  /// Runs a job to the end of its supervisor.
  /// - Returns: the exit status.
  func supervise(_ options: [String] = [], _ command: [String]) throws -> Int32 {
    let process = try start(options, command)
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Runs any command of holdfast's.
  func holdfast(_ arguments: [String], environment: [String: String] = [:]) throws -> (
    status: Int32, out: String, err: String
  ) {
    try Self.run(Programs.holdfast, arguments, environment)
  }

  static func run(
    _ program: String, _ arguments: [String], _ environment: [String: String] = [:]
  ) throws -> (status: Int32, out: String, err: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let out = Pipe()
    let err = Pipe()
    process.standardOutput = out
    process.standardError = err
    try process.run()
    let outText = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let errText = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, outText, errText)
  }

  /// Runs holdfast as someone whom the modes of files and directories bind: root without its powers,
  /// which needs no other user to be able to reach the programs; anyone else as they are.
  func unprivileged(_ arguments: [String], environment: [String: String] = [:]) throws -> (
    status: Int32, out: String, err: String
  ) {
    guard geteuid() == 0 else { return try holdfast(arguments, environment: environment) }
    let powerless = ["--bounding-set=-all", "--inh-caps=-all", "--", Programs.holdfast]
    return try Self.run("/usr/bin/setpriv", powerless + arguments, environment)
  }

  /// Runs a script of bash.
  func shell(_ script: String) throws -> (status: Int32, out: String, err: String) {
    try Self.run("/bin/bash", ["-c", script])
  }

  /// Runs a command on a terminal of its own, in the foreground of it.
  func terminal(_ command: String) throws -> (status: Int32, out: String, err: String) {
    // Whether a shell stays in front of its only command depends on which one it is.
    try shell("SHELL=/bin/sh TERM=xterm script -qec 'exec \(command)' /dev/null </dev/null")
  }

  func json(_ arguments: [String]) throws -> [String: Any] {
    let result = try holdfast(arguments + ["--state-dir", state, "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(result.out.utf8))
    return try #require(object as? [String: Any], "\(result.err)")
  }

  /// A number from `status`; 0 while there is no job.
  func status(_ key: String) throws -> Int {
    let result = try holdfast(["status", "--state-dir", state, "--json"])
    guard result.status == 0 else { return 0 }
    let object = try JSONSerialization.jsonObject(with: Data(result.out.utf8)) as? [String: Any]
    return object?[key] as? Int ?? 0
  }

  func attempts() throws -> [[String: Any]] {
    try #require(try json(["history"])["attempts"] as? [[String: Any]])
  }

  // MARK: The trainer

  /// Changes one bit in the middle of a file.
  static func flipBit(of path: String, at offset: UInt64) throws {
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    try file.seek(toOffset: offset)
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: offset)
    try file.write(contentsOf: Data([byte ^ 4]))
    try file.close()
  }

  /// An arena slot as it is now: the word `complete` of its header, and the image's bytes.
  func slot(_ number: Int) throws -> (complete: UInt32, image: Data) {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(run)/arena-0-\(number)"))
    // It may have just been created.
    if data.count <= 4096 { throw CocoaError(.fileReadCorruptFile) }
    return (data[92..<96].reversed().reduce(0) { $0 << 8 | UInt32($1) }, data[4096...])
  }

  /// Whether everything that the trainer wrote into its ring is committed: the words at 128 and 256 of
  /// The trainer's newest step, also while the supervisor is stopped: the word at 144 of the ring's header.
  func stepInRing() throws -> UInt64 {
    let ring = try #require(FileHandle(forReadingAtPath: run + "/ring-0"))
    let header = try #require(try ring.read(upToCount: 512))
    return header[144..<152].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// the ring's header, as Formats.md has them.
  func isDrained() throws -> Bool {
    let ring = try #require(FileHandle(forReadingAtPath: run + "/ring-0"))
    let header = try #require(try ring.read(upToCount: 512))
    return header[128..<136] == header[256..<264]
  }

  /// The supervised process, nil when there is none at this moment.
  var trainerPID: Int32? {
    guard let supervisor else { return nil }
    let parent = supervisor.processIdentifier
    let path = "/proc/\(parent)/task/\(parent)/children"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: " ").first.flatMap { Int32($0) }
  }

  /// Waits for something that must come; three minutes are for a disk under load, not a limit to meet.
  func wait(for what: String, _ condition: () throws -> Bool) throws {
    let end = Date().addingTimeInterval(180)
    while Date() < end {
      if try condition() { return }
      usleep(10_000)
    }
    Issue.record("waited in vain for \(what)\n\(standardError)\n\(standardOutput)")
    throw CancellationError()
  }

  /// Kills the supervisor, and waits until its trainer is gone too.
  func killBoth(_ supervisor: Process) throws {
    kill(supervisor.processIdentifier, SIGKILL)
    supervisor.waitUntilExit()
    try wait(for: "the trainer's end") { leftovers().isEmpty }
  }

  /// Processes that still have this job's run directory in their environment.
  func leftovers() -> [Int32] {
    let wanted = "HOLDFAST_RUN_DIR=\(run)"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { pid in
      guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return false }
      return String(decoding: data, as: UTF8.self).split(separator: "\0").contains { $0 == wanted }
    }
  }
}

/// Digests of undisturbed runs, made once for each set of arguments.
actor Undisturbed {
  static let shared = Undisturbed()
  private var digests: [[String]: String] = [:]

  func digest(_ arguments: [String]) throws -> String {
    if let known = digests[arguments] { return known }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Programs.trainer)
    process.arguments = arguments
    let out = Pipe()
    process.standardOutput = out
    try process.run()
    let text = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let last = try #require(text.split(separator: "\n").last.map(String.init))
    try #require(last.hasPrefix("digest "))
    digests[arguments] = last
    return last
  }
}

func digest(in output: String) -> String? {
  output.split(separator: "\n").last { $0.hasPrefix("digest ") }.map(String.init)
}
