import POSIX
import SystemPackage

/// Removes credentials from the messages of programs.
struct Redaction: Sendable {
  /// Longest first, so that one that contains another is removed as a whole.
  private let secrets: [String]

  private static let mark = "…"
  /// Shorter values are words rather than credentials, and would make messages unreadable.
  private static let shortest = 4
  /// In names of variables and parameters whose values are credentials.
  private static let words = [
    "key", "secret", "token", "pass", "credential", "signature", "sas_url", "auth", "cookie", "private",
    "bearer",
  ]

  /// Words that are followed by a credential.
  private static let titles = [
    "authorization:", "password:", "passwd:", "secret:", "secret_access_key:", "access_key_id:", "token:",
    "cookie:",
  ]
  private static let schemes = ["basic", "bearer"]

  /// - Parameters:
  ///   - environment: `NAME=value`; values whose names say that they are credentials are removed.
  ///   - secrets: further values.
  init(environment: [String], secrets: [String] = []) {
    var values = Set(secrets)
    for entry in environment {
      let parts = entry.split(separator: "=", maxSplits: 1)
      // Not the path of a key or a socket, which messages need.
      let isPath =
        parts.count == 2 && parts[1].hasPrefix("/") && FileSystem.exists(FilePath(String(parts[1])))
      if parts.count == 2, Self.isSecret(parts[0]), !isPath {
        values.insert(String(parts[1]))
      }
    }
    let plain = ["true", "false", "auto"]
    self.secrets = values.filter { $0.utf8.count >= Self.shortest && !plain.contains($0) }.sorted {
      ($0.utf8.count, $0) > ($1.utf8.count, $1)
    }
  }

  func clean(_ text: String) -> String {
    var clean = text
    for secret in secrets { clean = Self.replace(secret, in: clean) }
    return Self.assignments(Self.locations(clean))
  }

  private static let longestExcerpt = 400

  /// The beginning of `clean`, for an error. In this order, as half a credential would not be recognized.
  func excerpt(_ text: String) -> String {
    let clean = clean(text)
    return clean.count <= Self.longestExcerpt ? clean : clean.prefix(Self.longestExcerpt) + "…"
  }

  private static func isSecret(_ name: some StringProtocol) -> Bool {
    let name = name.lowercased()
    return words.contains { name.contains($0) }
  }

  private static func replace(_ secret: String, in text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let range = rest.firstRange(of: secret) {
      result += rest[..<range.lowerBound] + mark
      rest = rest[range.upperBound...]
    }
    return result + rest
  }

  /// Removes user, password and query of URLs: the query of a presigned one is a credential.
  private static func locations(_ text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let range = rest.firstRange(of: "://") {
      result += rest[..<range.upperBound]
      let end = rest[range.upperBound...].firstIndex { $0.isWhitespace || $0 == "\"" || $0 == "'" }
      var location = rest[range.upperBound..<(end ?? rest.endIndex)]
      rest = rest[location.endIndex...]
      let authority = location.prefix { $0 != "/" && $0 != "?" }
      if let at = authority.lastIndex(of: "@") {
        result += mark
        location = location[at...]
      }
      let query = location.firstIndex(of: "?")
      result += location[..<(query ?? location.endIndex)] + (query == nil ? "" : "?" + mark)
    }
    return result + rest
  }

  /// Removes values after `secret_access_key=` and `token:`.
  private static func assignments(_ text: String) -> String {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    var isValue = false
    let clean = words.map { word -> String in
      if isValue, !word.isEmpty {
        // `Authorization: Bearer abc`
        isValue = schemes.contains(word.lowercased())
        return isValue ? String(word) : mark
      }
      guard let separator = word.firstIndex(where: { $0 == "=" || $0 == ":" }),
        isSecret(word[..<separator]), !word[separator...].hasPrefix("://")
      else { return String(word) }
      let value = word[word.index(after: separator)...]
      // Not the names of errors: `InvalidAccessKeyId: The key …`.
      isValue = value.isEmpty && titles.contains(word.lowercased())
      return value.isEmpty ? String(word) : word[...separator] + mark
    }
    return clean.joined(separator: " ")
  }
}
