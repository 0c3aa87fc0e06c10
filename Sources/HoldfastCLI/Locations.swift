import Checkpoints
import Glibc
import JobFile
import SystemPackage

/// Computes a job's directories from the command line and the environment, without accessing files.
struct Locations {
  let environment: [String: String]
  let workingDirectory: String
  let userID: UInt32
  var system = SystemPaths()

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

  /// `NAME=value` entries of this process's environment.
  static func entries() -> [String] {
    var entries: [String] = []
    var next = environ
    while let entry = next.pointee {
      entries.append(String(cString: entry))
      next += 1
    }
    return entries
  }

  /// The default name of a job: that of its command or, for an interpreter, of its script.
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

  /// The default parent of state directories.
  var stateRoot: FilePath {
    if let root = absolute("XDG_STATE_HOME") { return root.appending("holdfast") }
    let home = absolute("HOME") ?? "/root"
    return home.appending(".local/state/holdfast")
  }

  func absolute(_ name: String) -> FilePath? {
    // The XDG specification requires ignoring relative paths.
    guard let value = environment[name], value.hasPrefix("/") else { return nil }
    return FilePath(value)
  }

  /// - Parameter option: `--state-dir`, the job's own directory.
  func state(job: String, option: String?) -> FilePath {
    if let option { return resolve(option) }
    if let unit = unitDirectory("STATE_DIRECTORY") { return unit }
    return stateRoot.appending(job)
  }

  /// The directory that systemd created for the unit; the first of several.
  func unitDirectory(_ name: String) -> FilePath? {
    environment[name].flatMap { $0.split(separator: ":").first }.map { FilePath(String($0)) }
  }

  /// The run directory. Its name ends with a hash of the state directory, so that jobs with the same name do
  /// not share it.
  func run(job: String, option: String?, state: FilePath) -> FilePath {
    if let option { return resolve(option) }
    if let unit = unitDirectory("RUNTIME_DIRECTORY") { return unit }
    return runRoots[0].appending("\(job)-\(Self.mark(of: state))")
  }

  static func mark(of state: FilePath) -> String {
    String(SHA256.hex(Array(state.string.utf8)).prefix(8))
  }

  /// Default parents of run directories, the preferred one first.
  var runRoots: [FilePath] {
    let memory = FilePath("/dev/shm/holdfast-\(userID)")
    return absolute("XDG_RUNTIME_DIR").map { [$0.appending("holdfast"), memory] } ?? [memory]
  }

  func resolve(_ path: String) -> FilePath {
    FilePath(workingDirectory).pushing(FilePath(path)).lexicallyNormalized()
  }
}
