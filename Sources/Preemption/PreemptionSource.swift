import Reporting

/// The source of notices: the value of `--preemption`.
public enum PreemptionSource: Hashable, Sendable, CustomStringConvertible {
  /// The cloud that this machine's firmware names, if any.
  case auto
  case cloud(Cloud)
  case off
  /// A program that prints notices, with its arguments.
  case command([String])

  public static let words = ["auto"] + Cloud.allCases.map(\.rawValue) + ["none", "command:PROGRAM"]

  /// - Parameter text: `auto`, `gce`, `aws`, `azure`, `none`, or `command:` with a program and its
  ///   arguments, separated by spaces.
  public init(_ text: String) throws(PreemptionError) {
    let prefix = "command:"
    if text.hasPrefix(prefix) {
      let words = text.dropFirst(prefix.count).split(separator: " ").map(String.init)
      guard !words.isEmpty else {
        throw PreemptionError(.badSource, "'\(text)' has no program", hint: "command:PROGRAM")
      }
      self = .command(words)
    } else if text == "auto" {
      self = .auto
    } else if text == "none" {
      self = .off
    } else if let cloud = Cloud(rawValue: text) {
      self = .cloud(cloud)
    } else {
      throw PreemptionError(
        .badSource, "unknown source of preemption notices '\(text)'",
        hint: "one of \(words: Self.words.joined(separator: ", "))")
    }
  }

  public var description: String {
    switch self {
    case .auto: "auto"
    case .cloud(let cloud): cloud.rawValue
    case .off: "none"
    case .command(let words): "command:" + words.joined(separator: " ")
    }
  }
}
