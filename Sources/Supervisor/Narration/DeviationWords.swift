public import JobStore
import Reporting

extension Deviation {
  /// `from step 14 on: metric loss is 1.5, was 1.4; random stream torch`
  public var words: String { "from step \(Words.number(difference.step)) on: \(difference.words)" }

  public var likelyCause: String { difference.likelyCause }
}

extension ReplayAudit.Difference {
  private static let shown = 4

  /// What differs, the most significant first.
  public var words: String {
    let texts = items.prefix(Self.shown).map(\.words)
    let more = items.count > Self.shown ? ["and \(items.count - Self.shown) more"] : []
    return (texts + more).joined(separator: "; ")
  }

  /// The most frequent cause of this pattern of differing and identical parts.
  public var likelyCause: String {
    let parts = Set(items.filter { !$0.isTrainedState }.map(\.part))
    if parts.contains(ReplayAudit.Item.hyperparameter) { return "it was changed with --set" }
    if parts.contains("rng"), step == 1 {
      return "the program sets no seed, so a start from the beginning draws different random numbers"
    }
    if parts.contains("position") {
      return "the data or its batches changed, or batches were skipped"
    }
    if parts.contains("sampler") {
      return "a loader resumed at a different position: its data changed, or prefetched batches were lost"
    }
    if parts.contains("rng") {
      return "something drew more or fewer random numbers: an environment or library whose state is not "
        + "registered, or prefetched batches"
    }
    return "unregistered state (of an environment, a buffer or a library), or kernels that are not "
      + "deterministic; random streams and loaders agree"
  }
}

extension ReplayAudit.Item {
  /// Python's checksum of a few elements of the trained state. It is recorded among the samplers, under a name that is
  /// reserved.
  fileprivate var isTrainedState: Bool { part == "sampler" && name == "state" }

  public var words: String {
    if isTrainedState { return "trained state" }
    let what =
      switch part {
      case "metrics": "metric"
      case "rng": "random stream"
      case "sampler": "loader"
      default: part
      }
    var text = name.map { "\(what) \($0)" } ?? (part == "position" ? part : "\(what)s")
    if let recorded, let replayed {
      // A position is a whole number. A metric has all digits, since only the last ones may differ.
      let isWhole = part == "position"
      func number(_ value: Double) -> String { isWhole ? Words.number(UInt64(max(0, value))) : "\(value)" }
      text += " is \(number(replayed)), was \(number(recorded))"
    }
    return text
  }
}
