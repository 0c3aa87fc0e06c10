import Glibc
import POSIX
import Reporting
import SystemPackage

/// The systemd unit that runs a job.
struct JobUnit: Hashable {
  /// `holdfast@resnet50.service`
  let name: String
  /// Of the user's service manager.
  let isUser: Bool

  /// The instance of the packaged unit that runs the job of `name`.toml.
  static func packaged(_ name: String, isUser: Bool) -> JobUnit {
    JobUnit(name: "holdfast@\(name).service", isUser: isUser)
  }

  private init(name: String, isUser: Bool) {
    self.name = name
    self.isUser = isUser
  }

  /// The unit whose process a cgroup contains: its path is as in cgroups(7), `/system.slice/x.service`.
  /// - Returns: nil for a session, a scope, or the user's service manager itself.
  init?(cgroup path: String) {
    let parts = path.split(separator: "/").map(String.init)
    guard let index = parts.lastIndex(where: { Self.isUnit($0) }), parts[index].hasSuffix(".service"),
      !Self.isManager(parts[index])
    else { return nil }
    self.init(name: parts[index], isUser: parts[..<index].contains(where: Self.isManager))
  }

  private static func isUnit(_ part: String) -> Bool {
    [".service", ".scope", ".slice"].contains { part.hasSuffix($0) }
  }

  private static func isManager(_ part: String) -> Bool {
    part.hasPrefix("user@") && part.hasSuffix(".service")
  }

  /// The unit of a process.
  static func of(_ pid: pid_t) -> JobUnit? {
    guard let bytes = try? FileSystem.read(FilePath("/proc/\(pid)/cgroup")) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
      // Version 2, or systemd's own hierarchy beside version 1.
      guard parts.count == 3, parts[0] == "0" || parts[1] == "name=systemd" else { continue }
      if let unit = JobUnit(cgroup: parts[2]) { return unit }
    }
    return nil
  }

  /// The unit that a supervisor runs in.
  static func of(supervisor pid: pid_t) -> JobUnit? {
    guard let unit = of(pid) else { return nil }
    // A shell in a service, such as a terminal's, may have started it; its environment may not be readable.
    let isStarted = ProcessTable.environment(of: pid)?.contains {
      $0.elementsEqual("SYSTEMD_EXEC_PID=\(pid)".utf8)
    }
    return unit.name.hasPrefix("holdfast@") || isStarted == true ? unit : nil
  }

  /// The unit that started this process itself, not a process that started this one: systemd.exec(5), `SYSTEMD_EXEC_PID`.
  static func current(_ environment: [String: String]) -> JobUnit? {
    environment["SYSTEMD_EXEC_PID"] == "\(getpid())" ? of(getpid()) : nil
  }

  private func systemctl(_ verb: String) -> String {
    "systemctl \(isUser ? "--user " : "")\(verb) \(Hint.quoted(name))"
  }

  /// Starts the job of a unit that may have failed.
  var startAgain: Hint { Hint(stringLiteral: "\(systemctl("reset-failed")); \(systemctl("start"))") }

  var stop: Hint { Hint(stringLiteral: systemctl("stop")) }

  var start: Hint { Hint(stringLiteral: systemctl("start")) }
}
