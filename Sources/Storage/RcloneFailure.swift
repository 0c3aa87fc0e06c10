import POSIX
import Reporting
import SystemPackage

/// Why rclone failed, from its exit status and its log.
struct RcloneFailure {
  private let status: ChildProcess.Status
  /// Texts of errors, the last one most specific.
  private let messages: [String]

  init(_ errors: [UInt8], _ status: ChildProcess.Status) {
    self.status = status
    messages = Self.messages(String(decoding: errors, as: UTF8.self))
  }

  /// With `--use-json-log` each line is an object, except for that of the last, fatal error, which may have several
  /// lines.
  private static func messages(_ log: String) -> [String] {
    var messages: [String] = []
    for line in log.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("{"), let entry = (try? JSONValue(parsing: String(line)))?.object {
        let level = entry["level"]?.string ?? ""
        guard ["error", "critical", "fatal", "alert", "emergency"].contains(level),
          let text = entry["msg"]?.string
        else { continue }
        messages.append(text)
      } else if let text = withoutTime(line) {
        messages.append(text)
      } else if let last = messages.popLast() {
        messages.append(last + " " + line)
      } else {
        messages.append(String(line))
      }
    }
    return messages
  }

  /// The text after `2026/11/27 13:29:11 `; nil if the line does not begin with a time.
  private static func withoutTime(_ line: Substring) -> String? {
    let words = line.split(separator: " ", maxSplits: 2)
    guard words.count == 3, words[0].utf8.count == 10, words[1].utf8.count == 8,
      words[0].allSatisfy({ $0.isNumber || $0 == "/" }), words[1].allSatisfy({ $0.isNumber || $0 == ":" })
    else { return nil }
    return String(words[2])
  }

  // MARK: Judgement

  var code: StorageErrorCode {
    let text = messages.joined(separator: "\n").lowercased()
    for (code, signs) in Self.signs where signs.contains(where: { text.contains($0) }) { return code }
    // https://rclone.org/docs/#exit-code
    switch status {
    case .exited(3), .exited(4): return .missing
    case .exited(5): return .unreachable
    case .exited(1) where messages.isEmpty, .signaled: return .program
    default: return .io
    }
  }

  /// Parts of messages in lower case. The order matters: an unreachable server's message may name a missing object.
  private static let signs: [(StorageErrorCode, [String])] = [
    (
      .denied,
      [
        "accessdenied", "access denied", "forbidden", "status code: 403", "status code: 401", "unauthorized",
        "invalidaccesskeyid", "signaturedoesnotmatch", "permission denied", "expiredtoken", "invalidtoken",
        "authfailure", "nocredentialproviders", "unable to authenticate", "invalid_grant", "token expired",
        "no supported methods remain", "couldn't find access token", "authenticationfailed",
        "login incorrect",
      ]
    ),
    (.unsupported, ["didn't find section in config file", "didn't find backend called", "unknown flag"]),
    (
      .noRoom,
      [
        "no space left", "quota", "insufficient storage", "status code: 507", "disk full",
        "remaining disk space",
      ]
    ),
    (
      .unreachable,
      [
        "connection refused", "i/o timeout", "timeout awaiting", "no such host", "connection reset",
        "no route to host",
        "network is unreachable", "tls handshake timeout", "server misbehaving", "unexpected eof", ": eof",
        "context deadline exceeded", "couldn't connect", "slowdown", "serviceunavailable", "status code: 500",
        "status code: 502", "status code: 503", "status code: 504", "internalerror", "broken pipe",
        "connection broken", "certificate",
      ]
    ),
    (.missing, ["directory not found", "object not found", "nosuchbucket", "nosuchkey", "doesn't exist"]),
  ]

  func error(_ operation: String, _ place: RcloneRemote, _ redaction: Redaction) -> StorageError {
    StorageError(
      code, operation, path: FilePath(place.description), why: redaction.excerpt(reason), hint: hint(place))
  }

  private var reason: String {
    guard let last = messages.last else {
      switch status {
      case .exited(let code): return "rclone exited with status \(code) and printed no reason"
      case .signaled(let number): return "rclone was killed by \(Words.signal(number))"
      }
    }
    let text = last.split { $0.isWhitespace }.joined(separator: " ")
    // `Failed to rcat with 2 errors: last error was: …`, `Failed to cat: …`
    let intro = ["last error was: ", ": "].lazy.compactMap { text.firstRange(of: $0) }.first
    guard text.hasPrefix("Failed to "), let intro else { return text }
    return String(text[intro.upperBound...])
  }

  private func hint(_ place: RcloneRemote) -> Hint? {
    switch code {
    case .denied where place.hasParameters: "check the credentials in the remote"
    case .denied: "check the credentials; to try them: \(Hint(command: ["rclone", "lsf", place.argument]))"
    case .unreachable: "check the network and the storage service"
    case .noRoom: "free space or raise the quota of the storage"
    case .unsupported where messages.contains { $0.contains("unknown flag") }: "install rclone 1.60 or later"
    case .unsupported: "rclone listremotes  lists the configured remotes; 'rclone config' adds one"
    default: nil
    }
  }
}
