import Glibc

/// The name of a checkpoint with its values in braces, as Lightning's `ModelCheckpoint` has it:
/// `mnist-{epoch:02d}-{val_loss:.2f}` becomes `mnist-epoch=02-val_loss=0.32`.
public struct NameTemplate: Hashable, Sendable {
  /// The text cannot be used as a template.
  public struct Mistake: Error, CustomStringConvertible {
    public let description: String
  }

  private enum Part: Hashable {
    case text(String)
    case value(name: String, Format)
  }

  /// `02d`, `.2f`, `6.3e`: of Python's format specification, the part that numbers need.
  private struct Format: Hashable {
    var padsWithZeros = false
    var width = 0
    /// nil: as short as possible.
    var precision: Int?
    /// `d`, `e`, `f` or `g`; nil: whole numbers as such, others as short as possible.
    var kind: Character?
  }

  private let parts: [Part]

  /// - Throws: a brace is not closed, or a format is not one of numbers.
  public init(_ text: String) throws(Mistake) {
    guard !text.isEmpty else { throw Mistake(description: "must not be empty") }
    var parts: [Part] = []
    var rest = Substring(text)
    while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
      guard rest[open] == "{" else { throw Mistake(description: "'}' has no '{' before it") }
      if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
      let inside = rest[rest.index(after: open)...]
      guard let close = inside.firstIndex(of: "}") else {
        throw Mistake(description: "'{' is not closed")
      }
      let field = inside[..<close]
      let split = field.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = split.first, !name.isEmpty, !name.contains("{") else {
        throw Mistake(description: "the braces contain no name: {\(field)}")
      }
      parts.append(.value(name: String(name), try Self.format(split.count > 1 ? split[1] : "")))
      rest = inside[inside.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    self.parts = parts
  }

  private static func format(_ text: Substring) throws(Mistake) -> Format {
    var format = Format()
    var rest = text
    if rest.first == "0" {
      format.padsWithZeros = true
      rest.removeFirst()
    }
    format.width = try number(&rest) ?? 0
    if rest.first == "." {
      rest.removeFirst()
      guard let precision = try number(&rest) else {
        throw Mistake(description: "the format '\(text)' has no digits after '.'")
      }
      format.precision = precision
    }
    format.kind = rest.popFirst()
    guard rest.isEmpty, format.kind.map({ "defg".contains($0) }) ?? true,
      format.kind != "d" || format.precision == nil
    else {
      throw Mistake(description: "'\(text)' is not a number's format, such as 02d or .2f")
    }
    return format
  }

  private static func number(_ rest: inout Substring) throws(Mistake) -> Int? {
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    rest = rest.dropFirst(digits.count)
    guard !digits.isEmpty else { return nil }
    guard let number = Int(digits), number <= 99 else {
      throw Mistake(description: "'\(digits)' digits are too many")
    }
    return number
  }

  /// The names that are not `epoch` or `step`.
  public var metrics: [String] {
    parts.compactMap { part in
      if case .value(let name, _) = part, !["epoch", "step"].contains(name) { name } else { nil }
    }
  }

  /// - Parameters:
  ///   - epoch: from 0.
  ///   - insertsNames: whether each value is written as `name=value`.
  /// - Returns: a name of letters, digits, `-`, `_`, `.` and `=`, at most `longest` bytes; other characters are
  ///   replaced by `_`.
  public func name(
    epoch: UInt64, step: UInt64, metrics: [String: Double], insertsNames: Bool = true, longest: Int = 160
  ) -> String {
    var name = ""
    for part in parts {
      switch part {
      case .text(let text): name += text
      case .value(let key, let format):
        let text =
          switch key {
          case "epoch": Self.text(Double(epoch), whole: epoch, format)
          case "step": Self.text(Double(step), whole: step, format)
          default: Self.text(metrics[key] ?? .nan, whole: nil, format)
          }
        name += insertsNames ? "\(key)=\(text)" : text
      }
    }
    var bytes = name.utf8.map { Self.isAllowed($0) ? $0 : UInt8(ascii: "_") }.prefix(longest)
    // A leading dot marks unfinished checkpoints.
    if bytes.first == UInt8(ascii: ".") { bytes[bytes.startIndex] = UInt8(ascii: "_") }
    return bytes.isEmpty ? "_" : String(decoding: bytes, as: UTF8.self)
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-_.=".utf8.contains(byte)
    }
  }

  private static func text(_ value: Double, whole: UInt64?, _ format: Format) -> String {
    if let whole, format.kind == nil || format.kind == "d", format.precision == nil {
      return padded("\(whole)", format)
    }
    guard value.isFinite else { return padded("\(value)", Format(width: format.width)) }
    switch format.kind {
    case "d": return padded("\(value.rounded())".replacing(".0", with: ""), format)
    case nil where format.precision == nil:
      let text = "\(value)"
      return padded(text.hasSuffix(".0") ? String(text.dropLast(2)) : text, format)
    default: break
    }
    let pattern =
      "%\(format.padsWithZeros ? "0" : "")\(format.width).\(format.precision ?? 6)\(format.kind ?? "g")"
    var buffer = [CChar](repeating: 0, count: 512)
    let count = withVaList([value]) { vsnprintf(&buffer, buffer.count, pattern, $0) }
    let bytes = buffer.prefix(min(max(0, Int(count)), buffer.count - 1))
    return String(decoding: bytes.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func padded(_ text: String, _ format: Format) -> String {
    let missing = max(0, format.width - text.utf8.count)
    return String(repeating: format.padsWithZeros ? "0" : " ", count: missing) + text
  }
}
