import Glibc
import POSIX
import Reporting
import SystemPackage

/// The drop-in of a system unit that lets a job write to directories outside of those that the unit has. A user's unit
/// needs none: it is not sandboxed.
struct UnitDropIn {
  let unit: String
  /// Absolute paths.
  let writable: [FilePath]

  private static let heading = "# Written by holdfast install-unit."
  private static let fallbackUser = "holdfast"

  var path: FilePath { FilePath("/etc/systemd/system/\(unit).d/holdfast.conf") }

  private var text: String {
    var lines = [Self.heading, "[Unit]"]
    lines += writable.map { "RequiresMountsFor=\(Self.quoted($0))" }
    lines.append("[Service]")
    lines += writable.map { "ReadWritePaths=\(Self.quoted($0))" }
    return lines.map { $0 + "\n" }.joined()
  }

  /// As in systemd.syntax(7), with the specifiers' `%` doubled.
  private static func quoted(_ path: FilePath) -> String {
    let escaped = path.string.map { character in
      switch character {
      case "%": "%%"
      case "\"", "\\": "\\\(character)"
      default: String(character)
      }
    }
    return "\"\(escaped.joined())\""
  }

  /// Creates the directories for the unit's user, and writes or removes the drop-in.
  /// - Returns: what was done, a line each.
  func install() throws(Failure) -> [String] {
    var lines: [String] = []
    for directory in writable where !FileSystem.exists(directory) { lines.append(try create(directory)) }
    do {
      if !writable.isEmpty {
        try FileSystem.makeDirectories(path.removingLastComponent(), mode: 0o755)
        try FileSystem.replace(path, with: Array(text.utf8), durable: true, mode: 0o644)
        lines.append("wrote \(path)")
      } else if let old = try? FileSystem.read(path), old.starts(with: Self.heading.utf8) {
        try FileSystem.remove(path)
        lines.append("removed \(path)")
      }
    } catch {
      throw Failure(
        .cannotCreate, "cannot write the unit's drop-in", path: path.string, why: error.reason,
        hints: ["ls -ld \(path.removingLastComponent())"])
    }
    return lines
  }

  /// Of the unit, with its other drop-ins.
  private var user: String {
    let (status, output) = HelperProgram.output(of: ["systemctl", "show", "--property=User", "--value", unit])
    let name = String(decoding: output, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    return status == 0 && !name.isEmpty ? name : Self.fallbackUser
  }

  private func create(_ directory: FilePath) throws(Failure) -> String {
    let user = user
    do {
      // The user must get through those above it.
      try FileSystem.makeDirectories(directory.removingLastComponent(), mode: 0o755)
      try FileSystem.makeDirectories(directory, mode: 0o750)
      guard let entry = getpwnam(user) else { return "created \(directory); make \(user) its owner" }
      try posix("chown", directory) {
        directory.withPlatformString { chown($0, entry.pointee.pw_uid, entry.pointee.pw_gid) }
      }
      return "created \(directory) for user \(user)"
    } catch {
      throw Failure(
        .cannotCreate, "cannot create the directory for checkpoints", path: directory.string,
        why: error.reason,
        hints: ["ls -ld \(directory.removingLastComponent())"])
    }
  }
}
