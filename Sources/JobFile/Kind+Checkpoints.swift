import Reporting
import Supervision
import Vocabulary

// Kinds of the values of checkpoint policies.

extension Kind where Value == UInt64 {
  /// A whole number above 0.
  static let number = Kind(
    placeholder: Kind<Int>.count.placeholder,
    read: { (node, base) throws(Mistakes) in UInt64(try Kind<Int>.count.read(node, base)) },
    node: Kind<Int>.count.node,
    write: { .integer(Int(clamping: $0)) })
}

extension Kind where Value == Int {
  /// A whole number above 0; 0 is "none".
  static let countOrNone = Kind(
    placeholder: count.placeholder, read: count.read, node: count.node,
    write: { $0 == 0 ? nil : .integer($0) })
}

extension Kind where Value == CheckpointPolicy.Epochs {
  static let epochs = Kind(
    placeholder: "count|auto|off",
    read: { (node, base) throws(Mistakes) in
      switch node {
      case .string("auto"): return .automatic
      case .string("off"): return .none
      case .string(let text) where Int(text) == nil:
        let guess = Suggestions.nearest(to: text, among: ["auto", "off"])
        throw Mistakes(
          "must be a whole number, \"auto\" or \"off\", not '\(text)'\(guess.map { "; did you mean '\($0)'?" } ?? "")"
        )
      default: return .every(try Kind<UInt64>.number.read(node, base))
      }
    },
    node: Kind<Int>.count.node,
    write: { epochs in
      switch epochs {
      case .none: .string("off")
      case .automatic: .string("auto")
      case .every(let count): .integer(Int(clamping: count))
      }
    })
}

extension Kind where Value == EpochEnd {
  /// `save-on-train-epoch-end`, as Lightning has it.
  static let epochEnd = Kind(
    placeholder: Kind<Bool>.flag.placeholder,
    read: { (node, base) throws(Mistakes) in
      try Kind<Bool>.flag.read(node, base) ? .training : .validation
    },
    node: Kind<Bool>.flag.node,
    write: { .boolean($0 == .training) })
}

extension Kind where Value == CheckpointPolicy.Mode {
  static let mode = Kind(
    placeholder: "min|max",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let text) = node, let mode = CheckpointPolicy.Mode(rawValue: text) else {
        throw Mistakes("must be \"min\" or \"max\"")
      }
      return mode
    },
    write: { .string($0.rawValue) })
}

extension Kind where Value == String {
  /// Name of a metric.
  static let metric = Kind(
    placeholder: "metric",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let name) = node, !name.isEmpty else {
        throw Mistakes("must be the name of a metric in quotes, not \(node.kind)")
      }
      return name
    },
    write: { .string($0) })

  static let nameTemplate = Kind(
    placeholder: "template",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let text) = node else {
        throw Mistakes("must be a name in quotes, such as \"{epoch:02d}-{val_loss:.2f}\", not \(node.kind)")
      }
      do throws(NameTemplate.Mistake) {
        _ = try NameTemplate(text)
      } catch {
        throw Mistakes("invalid template '\(text)': \(error)")
      }
      return text
    },
    write: { .string($0) })
}

extension Kind where Value == [CheckpointPolicy] {
  /// `[[checkpoint.policy]]` tables.
  static let policies = Kind(
    placeholder: "table", read: { (node, base) throws(Mistakes) in try PolicyTables.read(node, base) },
    write: { $0.isEmpty ? nil : PolicyTables.node($0) })
}

extension Kind where Value == UInt64 {
  static let byteRate = Kind(
    placeholder: "bytes/s",
    read: { (node, _) throws(Mistakes) in
      guard case .string(let text) = node, let bytes = ByteRate.parse(text) else {
        throw Mistakes("must be a number of bytes with its unit, such as \"20MiB\"")
      }
      return bytes
    },
    write: { .string(ByteRate.text($0)) })
}

extension Kind where Value == String {
  /// Any text that is not empty.
  static func text(_ placeholder: String) -> Kind {
    Kind(
      placeholder: placeholder,
      read: { (node, _) throws(Mistakes) in
        guard case .string(let text) = node, !text.isEmpty else {
          throw Mistakes("must be text in quotes, not \(node.kind)")
        }
        return text
      },
      write: { .string($0) })
  }
}
