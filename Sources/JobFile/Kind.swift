import Metrics
import POSIX
import Preemption
import Reporting
import Supervision
import SystemPackage

/// A kind of value: how it is read from a file or the command line, and how it is written.
struct Kind<Value: Hashable & Sendable>: Sendable {
  /// As in `--every <duration>`.
  var placeholder: String
  /// Reads it from a file. `base` is the file's directory, against which relative paths are resolved.
  var read: @Sendable (_ node: Node, _ base: String) throws(Mistakes) -> Value
  /// Converts a command-line argument to the value that a file would have.
  var node: @Sendable (_ argument: String) -> Node = { .string($0) }
  /// nil: not set.
  var write: @Sendable (Value) -> Node?
}

extension Kind where Value == Duration {
  static let duration = Kind(
    placeholder: "duration",
    read: { (node, _) throws(Mistakes) in try Duration.read(node, example: "\"10min\"") },
    write: { .string(DurationText.text($0)) })
}

extension Duration {
  fileprivate static func read(_ node: Node, example: String) throws(Mistakes) -> Duration {
    switch node {
    case .string(let text):
      let duration: Duration
      do {
        duration = try DurationText.parse(text)
      } catch {
        throw Mistakes(error.description)
      }
      guard duration > .zero else { throw Mistakes("must be above 0") }
      return duration
    case .integer(let number):
      throw Mistakes("\(number) has no unit; write \"\(number)s\" or \"\(number)min\"")
    default:
      throw Mistakes("must be a duration, like \(example), not \(node.kind)")
    }
  }
}

extension Kind where Value == Policy.Limit {
  /// A duration, or one of the words in `allowed`.
  static func limit(_ allowed: String...) -> Kind {
    Kind(
      placeholder: (["duration"] + allowed).joined(separator: "|"),
      read: { (node, _) throws(Mistakes) in
        if case .string(let text) = node {
          if allowed.contains(text) { return text == "off" ? .off : .auto }
          if let word = Suggestions.nearest(to: text, among: allowed) {
            throw Mistakes("invalid duration '\(text)'; did you mean '\(word)'?")
          }
        }
        let words = allowed.map { ", or \"\($0)\"" }.joined()
        return .fixed(try Duration.read(node, example: "\"10min\"\(words)"))
      },
      write: { limit in
        switch limit {
        case .off: .string("off")
        case .auto: .string("auto")
        case .fixed(let duration): .string(DurationText.text(duration))
        }
      })
  }
}

extension Kind where Value == Int {
  /// A whole number above 0.
  static let count = Kind(
    placeholder: "count",
    read: { (node, _) throws(Mistakes) in
      switch node {
      case .integer(let number):
        guard number > 0 else { throw Mistakes("must be above 0") }
        return number
      case .string(let text):
        let hint = Int(text).map { "; write \($0) without quotes" } ?? ""
        throw Mistakes("must be a whole number, not '\(text)'\(hint)")
      default: throw Mistakes("must be a whole number, not \(node.kind)")
      }
    },
    node: { Int($0).map { .integer($0) } ?? .string($0) },
    write: { .integer($0) })
}

extension Kind where Value == Bool {
  /// On the command line, an option without a value.
  static let flag = Kind(
    placeholder: "true|false",
    read: { (node, _) throws(Mistakes) in
      if case .boolean(let value) = node { return value }
      if case .string(let text) = node, ["true", "false"].contains(text) {
        throw Mistakes("must be \(text) without quotes")
      }
      throw Mistakes("must be true or false, not \(node.kind)")
    },
    node: { $0 == "true" ? .boolean(true) : $0 == "false" ? .boolean(false) : .string($0) },
    write: { .boolean($0) })
}

extension Kind where Value == PreemptionSource {
  static let preemption = Kind(
    placeholder: "source",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let text) = node else {
        throw Mistakes("must be a word in quotes, like \"auto\", not \(node.kind)")
      }
      do throws(PreemptionError) {
        return try PreemptionSource(text)
      } catch {
        let guess = Suggestions.nearest(to: text, among: PreemptionSource.words)
        throw Mistakes("\(error.what); \(guess.map { "did you mean '\($0)'?" } ?? error.hint?.text ?? "")")
      }
    },
    write: { .string($0.description) })
}

extension Kind where Value == ListenAddress {
  static let listenAddress = Kind(
    placeholder: "address:port",
    read: { (node, _) throws(Mistakes) in
      do throws(MetricsError) {
        switch node {
        case .integer(let port): return try ListenAddress(port: port)
        case .string(let text): return try ListenAddress(text)
        default: break
        }
      } catch {
        throw Mistakes("\(error.what); write \(error.hint?.text ?? "")")
      }
      throw Mistakes("must be a port, or \"ADDRESS:PORT\", not \(node.kind)")
    },
    write: { .string($0.description) })
}

extension Kind where Value == String {
  /// A path; a relative one in a file is resolved against the file's directory.
  static let path = path(placeholder: "dir")

  static let file = path(placeholder: "file")

  private static func path(placeholder: String) -> Kind {
    Kind(
      placeholder: placeholder,
      read: { (node, base) throws(Mistakes) in
        guard case .string(let path) = node else {
          throw Mistakes("must be a path in quotes, not \(node.kind)")
        }
        guard !path.isEmpty else { throw Mistakes("must not be empty") }
        if FilePath(path).isURL { throw Mistakes("'\(path)' is a URL; use a path on this machine") }
        if path == "~" || path.hasPrefix("~/") {
          throw Mistakes("'~' is not expanded in a file; write the full path")
        }
        return path.hasPrefix("/") || base.isEmpty ? path : base + "/" + path
      },
      write: { .string($0) })
  }

  static let jobName = Kind(
    placeholder: "name",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let name) = node else {
        throw Mistakes("must be a name in quotes, not \(node.kind)")
      }
      guard JobName.isValid(name) else {
        throw Mistakes(JobName.fault(name))
      }
      return name
    },
    write: { .string($0) })
}

extension Kind where Value == [String] {
  /// A program and its arguments.
  static let command = Kind(
    placeholder: "command",
    read: { (node, _) throws(Mistakes) in
      switch node {
      case .array(let nodes):
        guard !nodes.isEmpty else { throw Mistakes("must not be empty; write [\"python3\", \"train.py\"]") }
        var words: [String] = []
        var mistakes: [Mistake] = []
        for (index, node) in nodes.enumerated() {
          if case .string(let word) = node {
            words.append(word)
          } else {
            mistakes.append(
              Mistake("each word must be a string in quotes, not \(node.kind)", part: [.index(index)]))
          }
        }
        if words.first == "" { mistakes.append(Mistake("the program's name is empty", part: [.index(0)])) }
        if !mistakes.isEmpty { throw Mistakes(mistakes) }
        return words
      case .string(let line):
        let words = line.split(separator: " ").map { Node.string(String($0)) }
        throw Mistakes("must be an array of words; no shell splits it: \(Node.array(words).toml)")
      default: throw Mistakes("must be an array of strings, not \(node.kind)")
      }
    },
    write: { $0.isEmpty ? nil : .array($0.map { .string($0) }) })
}

extension Kind where Value == [String: String] {
  /// Variables for the trainer's environment.
  static let variables = Kind(
    placeholder: "value",
    read: { (node, _) throws(Mistakes) in
      guard case .table(let entries) = node else {
        throw Mistakes("must be a section: write [environment] and NAME = \"value\" below it")
      }
      var variables: [String: String] = [:]
      var mistakes: [Mistake] = []
      for (name, node) in entries.sorted(by: { $0.key < $1.key }) {
        let part = [Locator.Component.key(name)]
        if let mistake = Self.reserved(name) {
          mistakes.append(Mistake(mistake, part: part, isAboutName: true))
        } else if case .string(let value) = node {
          variables[name] = value
        } else {
          let text = if case .integer(let number) = node { "; write \"\(number)\"" } else { "" }
          mistakes.append(
            Mistake("'\(name)' must be a string in quotes, not \(node.kind)\(text)", part: part))
        }
      }
      if !mistakes.isEmpty { throw Mistakes(mistakes) }
      return variables
    },
    write: { $0.isEmpty ? nil : .table($0.mapValues { .string($0) }) })

  private static func reserved(_ name: String) -> String? {
    if name.isEmpty || name.contains("=") { return "invalid variable name '\(name)'" }
    let prefixes = ["HOLDFAST_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_"]
    guard prefixes.contains(where: { name.hasPrefix($0) }) else { return nil }
    return "'\(name)' is set or removed by holdfast itself"
  }
}

extension Kind {
  /// The same kind; the value may be unset.
  static func optional<Wrapped>(_ kind: Kind<Wrapped>) -> Kind where Value == Wrapped? {
    Kind(
      placeholder: kind.placeholder,
      read: { (node, base) throws(Mistakes) in try kind.read(node, base) },
      node: kind.node,
      write: { $0.flatMap(kind.write) })
  }
}
