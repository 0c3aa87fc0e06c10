import Reporting

/// A place for rclone: `s3:bucket/jobs`, or with parameters in a connection string,
/// `:s3,provider=AWS,secret_access_key=…:bucket/jobs` (https://rclone.org/docs/#connection-strings).
///
/// Parameters may be credentials, and every user can read the arguments of every process. So they are passed to rclone
/// in its environment, and are not part of the description.
public struct RcloneRemote: Hashable, Sendable, CustomStringConvertible {
  /// The name under which rclone gets a remote that has none: `:s3,…:bucket`.
  static let unnamed = "holdfast_remote"

  /// With its parameters as `…`.
  public let description: String
  /// Its parameters were given with it, so it may contain credentials.
  public var hasParameters: Bool { !parameters.isEmpty }

  /// Name of the remote and colon; empty for a local path.
  private let remote: String
  private let path: String
  /// Values by name, including the type of an unnamed remote.
  private let parameters: [String: String]
  private let isNamed: Bool

  /// - Throws: `unsupported`, without quoting the text, which may contain credentials.
  public init(_ text: String) throws(StorageError) {
    var parser = Parser(rest: Substring(text))
    guard !text.isEmpty, !text.utf8.contains(0) else {
      throw Self.invalid("it is empty or has a NUL character")
    }
    guard let parsed = try parser.parse() else {
      guard !text.hasPrefix("-") else { throw Self.invalid("it begins with '-'") }
      (remote, path, parameters, isNamed, description) = ("", text, [:], true, text)
      return
    }
    guard !parsed.path.hasPrefix("//") else {
      throw Self.invalid("it is a URL")
    }
    isNamed = !parsed.name.hasPrefix(":")
    path = parsed.path
    if isNamed {
      remote = parsed.name + ":"
      parameters = parsed.parameters
    } else {
      remote = Self.unnamed + ":"
      parameters = parsed.parameters.merging(["type": String(parsed.name.dropFirst())]) { $1 }
    }
    description = parsed.name + (parsed.parameters.isEmpty ? "" : ",…") + ":" + path
  }

  private init(_ remote: RcloneRemote, path: String, description: String) {
    self.remote = remote.remote
    parameters = remote.parameters
    isNamed = remote.isNamed
    self.path = path
    self.description = description
  }

  /// A place below it.
  public func appending(_ component: String) -> RcloneRemote {
    let separator = path.isEmpty && !remote.isEmpty || path.hasSuffix("/") ? "" : "/"
    return RcloneRemote(
      self, path: path + separator + component, description: description + separator + component)
  }

  /// For the command line of rclone. Without parameters.
  var argument: String { remote + path }

  /// `NAME=value` for the environment of rclone.
  var environment: [String] {
    let name = remote.dropLast().uppercased()
    return parameters.map { "RCLONE_CONFIG_\(name)_\($0.key.uppercased())=\($0.value)" }.sorted()
  }

  /// Values that must not appear in messages.
  var secrets: [String] { parameters.filter { $0.key != "type" }.map(\.value) }

  private static func invalid(_ why: String) -> StorageError {
    StorageError(
      .unsupported, "not a remote of rclone", why: why,
      hint: "write NAME:PATH with a NAME that 'rclone listremotes' prints, as in s3:bucket/jobs")
  }

  // MARK: Parsing

  /// As rclone's `fspath.Parse`.
  private struct Parser {
    struct Parsed {
      var name: String
      var parameters: [String: String]
      var path: String
    }

    var rest: Substring

    /// - Returns: nil for a local path.
    mutating func parse() throws(StorageError) -> Parsed? {
      let isNamed = rest.first != ":"
      var name = isNamed ? "" : ":"
      if !isNamed { rest.removeFirst() }
      while let character = rest.first, character != ",", character != ":" {
        // A name has no slash, so this is a path.
        guard character != "/" else {
          if isNamed { return nil }
          throw RcloneRemote.invalid("the type after ':' has a '/'")
        }
        name.append(character)
        rest.removeFirst()
      }
      guard !rest.isEmpty else {
        if isNamed { return nil }
        throw RcloneRemote.invalid("':' is missing after the type")
      }
      guard name.drop(while: { $0 == ":" }).utf8.allSatisfy(Self.isNameByte), name != "", name != ":",
        !name.hasPrefix("-")
      else { throw RcloneRemote.invalid("its name is invalid") }
      var parameters: [String: String] = [:]
      while rest.first == "," {
        rest.removeFirst()
        let (key, value) = try parameter()
        parameters[key] = value
      }
      guard rest.first == ":" else { throw RcloneRemote.invalid("':' is missing after its parameters") }
      return Parsed(name: name, parameters: parameters, path: String(rest.dropFirst()))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "_. -+@".utf8.contains(byte) || byte >= 0x80
      }
    }

    private mutating func parameter() throws(StorageError) -> (String, String) {
      var key = ""
      while let character = rest.first, character != "=", character != ",", character != ":" {
        key.append(character)
        rest.removeFirst()
      }
      guard !key.isEmpty,
        key.utf8.allSatisfy({ Self.isNameByte($0) && $0 < 0x80 && !" .+@".utf8.contains($0) })
      else { throw RcloneRemote.invalid("the name of a parameter is invalid") }
      guard rest.first == "=" else { return (key, "true") }
      rest.removeFirst()
      guard let quote = rest.first, quote == "\"" || quote == "'" else {
        let value = rest.prefix { $0 != "," && $0 != ":" }
        rest = rest[value.endIndex...]
        return (key, String(value))
      }
      rest.removeFirst()
      var value = ""
      while let character = rest.popFirst() {
        if character != quote {
          value.append(character)
        } else if rest.first == quote {
          // A doubled quote is one.
          value.append(quote)
          rest.removeFirst()
        } else {
          return (key, value)
        }
      }
      throw RcloneRemote.invalid("a quote is not closed")
    }
  }
}
