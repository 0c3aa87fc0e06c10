import Checkpoints
import Glibc
import JobFile
import SystemPackage

/// Where a job's directories are, from what the user typed and the environment. Pure.
struct Locations {
  let environment: [String: String]
  let workingDirectory: String
  let userID: UInt32

  static var current: Locations {
    var environment: [String: String] = [:]
    for entry in Self.entries() {
      guard let split = entry.firstIndex(of: "=") else { continue }
      environment[String(entry[..<split])] = String(entry[entry.index(after: split)...])
    }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let directory =
      getcwd(&buffer, buffer.count) == nil
      ? "/" : String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Locations(environment: environment, workingDirectory: directory, userID: getuid())
  }

  /// `NAME=value`, as this process got them.
  static func entries() -> [String] {
    var entries: [String] = []
    var next = environ
    while let entry = next.pointee {
      entries.append(String(cString: entry))
      next += 1
    }
    return entries
  }

  /// The job's name when none is given: the command's; for an interpreter, its script's.
  static func jobName(_ command: [String]) -> String {
    let interpreters = [
      "python", "bash", "sh", "dash", "zsh", "env", "nice", "perl", "ruby", "node", "uv", "julia",
    ]
    var name = FilePath(command.first ?? "job").lastComponent?.stem ?? "job"
    if interpreters.contains(where: { name == $0 || (name.hasPrefix($0) && name.last?.isNumber == true) }),
      let script = command.dropFirst().first(where: {
        !$0.hasPrefix("-") && !$0.contains("=") && !$0.contains(" ")
      })
    {
      name = FilePath(script).lastComponent?.stem ?? name
    }
    return JobName.sanitize(name)
  }

  /// The directory under which jobs have theirs, unless one is named.
  var stateRoot: FilePath {
    if let root = absolute("XDG_STATE_HOME") { return root.appending("holdfast") }
    let home = absolute("HOME") ?? "/root"
    return home.appending(".local/state/holdfast")
  }

  func absolute(_ name: String) -> FilePath? {
    // The XDG specification: a relative path is to be ignored.
    guard let value = environment[name], value.hasPrefix("/") else { return nil }
    return FilePath(value)
  }

  /// - Parameter option: `--state-dir`, the job's own directory.
  func state(job: String, option: String?) -> FilePath {
    if let option { return resolve(option) }
    if let unit = unitDirectory("STATE_DIRECTORY") { return unit }
    return stateRoot.appending(job)
  }

  /// What systemd made for the unit; the first of several.
  func unitDirectory(_ name: String) -> FilePath? {
    environment[name].flatMap { $0.split(separator: ":").first }.map { FilePath(String($0)) }
  }

  /// The run directory; its name ends in a mark of the state directory, so that jobs of one name do
  /// not share one.
  func run(job: String, option: String?, state: FilePath) -> FilePath {
    if let option { return resolve(option) }
    if let unit = unitDirectory("RUNTIME_DIRECTORY") { return unit }
    return runRoots[0].appending("\(job)-\(Self.mark(of: state))")
  }

  static func mark(of state: FilePath) -> String {
    String(SHA256.hex(Array(state.string.utf8)).prefix(8))
  }

  /// Where run directories are unless they are named, the first choice first.
  var runRoots: [FilePath] {
    let memory = FilePath("/dev/shm/holdfast-\(userID)")
    return absolute("XDG_RUNTIME_DIR").map { [$0.appending("holdfast"), memory] } ?? [memory]
  }

  func resolve(_ path: String) -> FilePath {
    FilePath(workingDirectory).pushing(FilePath(path)).lexicallyNormalized()
  }
}
