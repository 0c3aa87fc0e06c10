import POSIX
import Reporting

/// Text in Prometheus' exposition format, version 0.0.4. Samples of one metric are grouped, and no two have the
/// same labels: a duplicate would fail the whole scrape.
struct Exposition {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  enum Kind: String { case counter, gauge, histogram }

  typealias Labels = [(name: String, value: String)]

  private(set) var text = ""
  /// Added to every sample.
  private let common: Labels

  init(common: Labels) { self.common = common }

  /// - Parameter samples: if empty, the metric is left out.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: Labels, value: String)]
  ) {
    guard !samples.isEmpty else { return }
    begin(name, kind, help)
    var seen: Set<String> = []
    for sample in samples {
      let labels = Self.text(common + sample.labels)
      if seen.insert(labels).inserted { text += "\(name)\(labels) \(sample.value)\n" }
    }
  }

  /// - Parameter value: if nil, the metric is left out.
  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: String?) {
    if let value { add(name, kind, help, [([], value)]) }
  }

  mutating func add(_ name: String, _ help: String, _ histogram: Histogram) {
    begin(name, .histogram, help)
    var count: UInt64 = 0
    let bounds = histogram.bounds.map { Self.text($0) } + ["+Inf"]
    for (bound, own) in zip(bounds, histogram.counts) {
      count &+= own
      text += "\(name)_bucket\(Self.text(common + [("le", bound)])) \(count)\n"
    }
    text += "\(name)_sum\(Self.text(common)) \(Self.text(histogram.sum))\n"
    text += "\(name)_count\(Self.text(common)) \(count)\n"
  }

  private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  static func text(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return "\(whole)" }
    return "\(value)"
  }

  private static func text(_ labels: Labels) -> String {
    "{" + labels.map { "\($0.name)=\"\(escape($0.value))\"" }.joined(separator: ",") + "}"
  }

  /// Backslash, quote and line feed have escapes in the format. Other control characters have none and are made
  /// visible.
  private static func escape(_ value: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
      case "\"": escaped.append(contentsOf: "\\\"".unicodeScalars)
      case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
      case _ where VisibleText.isHidden(scalar):
        escaped.append("\\")
        escaped.append(contentsOf: VisibleText.line(String(scalar)).unicodeScalars)
      default: escaped.append(scalar)
      }
    }
    return String(escaped)
  }
}
