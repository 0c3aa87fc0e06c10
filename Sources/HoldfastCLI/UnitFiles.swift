import Glibc
import JobFile
import POSIX
import Reporting
import SystemPackage

/// The configuration file of a job that runs under systemd, at the path where the unit expects it.
struct UnitFiles {
  let name: String
  let forUser: Bool
  /// Path of the configuration file.
  let file: FilePath
  /// The path that the unit reads: the file itself or a link to it.
  let expected: FilePath

  var unit: String { "holdfast@\(name).service" }

  init(_ name: String, forUser: Bool, file: String?, _ locations: Locations) {
    self.name = name
    self.forUser = forUser
    let directory = forUser ? locations.userConfiguration : locations.system.configuration
    expected = directory.appending("\(name).toml")
    self.file = file.map(locations.resolve) ?? expected
  }

  private var systemctl: [String] { ["systemctl"] + (forUser ? ["--user"] : []) }

  /// Throws if the file exists, unless `force` is set.
  func checkFree(force: Bool) throws(Failure) {
    guard !force, FileSystem.exists(file) else { return }
    throw Failure(
      .cannotCreate, "job '\(name)' already has a configuration file", path: file.string,
      hints: [
        "holdfast config show --config \(file)  show it",
        "holdfast install-unit \(name) --force …  replace it",
      ])
  }

  func write(_ text: String) throws(Failure) {
    do {
      try makeDirectory(of: file)
      try FileSystem.replace(file, with: Array(text.utf8), durable: true, mode: 0o644)
    } catch {
      throw failure(error, "cannot write the configuration file")
    }
  }

  private func makeDirectory(of path: FilePath) throws(POSIXError) {
    try FileSystem.makeDirectories(path.removingLastComponent(), mode: forUser ? 0o700 : 0o755)
  }

  /// Links a file at another path from the path that the unit reads.
  func link(force: Bool) throws(Failure) {
    guard file != expected else { return }
    do {
      if isLinked { return }
      try makeDirectory(of: expected)
      var status = stat()
      if expected.withPlatformString({ lstat($0, &status) }) == 0 {
        guard force else {
          throw Failure(
            .cannotCreate, "\(unit) already has another configuration file", path: expected.string,
            hints: ["holdfast config show --config \(expected)  show it", "rm \(expected)"])
        }
        try FileSystem.remove(expected)
      }
      try posix("symlink", expected) {
        file.withPlatformString { target in expected.withPlatformString { symlink(target, $0) } }
      }
    } catch let error as Failure {
      throw error
    } catch {
      throw failure(
        error as? POSIXError ?? POSIXError("symlink", path: expected, errno: .ioError),
        "cannot link the configuration file")
    }
  }

  private var isLinked: Bool {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = expected.withPlatformString { readlink($0, &buffer, buffer.count) }
    guard count > 0 else { return false }
    return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) == file.string
  }

  private func failure(_ error: POSIXError, _ what: String) -> Failure {
    let isDenied = error.errno == .permissionDenied || error.errno == .readOnlyFileSystem
    let hint: Hint =
      isDenied && !forUser
      ? "sudo holdfast install-unit \(name) …  or only for this user: --user"
      : "ls -ld \(file.removingLastComponent())"
    return Failure(
      .cannotCreate, what, path: error.path?.string, why: String(cString: strerror(error.errno.rawValue)),
      hints: [hint])
  }

  /// `daemon-reload` and `enable --now`.
  func start() throws(Failure) {
    for arguments in [["daemon-reload"], ["enable", "--now", unit]] {
      let command = systemctl + arguments
      let status = HelperProgram.run(command)
      guard status != 0 else { continue }
      let text = Hint(command: command)
      throw Failure(
        .gaveUp, "the configuration is written, but '\(text)' failed", path: file.string,
        why: status == 127 ? "cannot run systemctl" : "exit \(status)",
        hints: [
          "\(text)  try again",
          "\(Hint(command: systemctl)) cat holdfast@.service  check that the unit is installed",
        ])
    }
  }

  /// Describes what was done and what remains to be done.
  func summary(written: Bool, dryRun: Bool, enabled: Bool) -> [String] {
    let verb = dryRun ? "would write" : "wrote"
    var lines = written ? ["\(verb) \(file)"] : ["\(file) is valid"]
    if file != expected { lines.append("\(dryRun ? "would link" : "linked") \(expected) to it") }
    let start = Hint(command: systemctl + ["enable", "--now", unit])
    if enabled, !dryRun {
      lines.append(
        "\(unit) is enabled and started; check it: \(systemctl.joined(separator: " ")) status \(unit)")
    } else {
      lines.append("start it now and at every boot: \(start)")
    }
    if forUser, let user = Self.userName, !FileSystem.exists(FilePath("/var/lib/systemd/linger/\(user)")) {
      lines.append(
        "without lingering it stops at logout and does not start at boot: loginctl enable-linger \(user)")
    }
    return lines
  }

  private static var userName: String? { getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } }
}
