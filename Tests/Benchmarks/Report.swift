import Glibc

/// One line of the result: a figure beside its limit or its peer, measured in the same run.
enum Report {
  static func line(_ what: String, _ figure: String, _ target: String, isMet: Bool) {
    let mark = isMet ? "met   " : "MISSED"
    print("\(mark)  \(pad(what, 46))  \(pad(figure, 34))  \(target)")
    fflush(nil)
  }

  static func peer(_ what: String, _ figure: String) {
    print("        \(pad("  beside: " + what, 46))  \(figure)")
    fflush(nil)
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  static func nanoseconds(_ value: Double) -> String {
    if value < 10_000 { return "\(Int(value.rounded())) ns" }
    if value < 10_000_000 { return "\((value / 100).rounded() / 10) µs" }
    return "\((value / 100_000).rounded() / 10) ms"
  }

  static func ratio(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}

/// Sorted measurements.
struct Sample {
  private let sorted: [Double]

  init(_ values: [Double]) { sorted = values.sorted() }

  func percentile(_ share: Double) -> Double {
    sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }
  var median: Double { percentile(0.5) }
}

func nanosecondsTaken(_ body: () throws -> Void) rethrows -> Double {
  let began = now()
  try body()
  return Double(now() - began)
}

@inline(__always)
func now() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
