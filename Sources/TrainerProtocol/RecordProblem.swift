/// A violation of Formats.md in a record. The rest of the record is used.
public struct RecordProblem: Hashable, Sendable {
  public var kind: RecordKind
  /// As spelled in the record; nil: the record as a whole.
  public var field: String?
  /// A predicate: `is missing`, `is text, not a whole number`.
  public var what: String

  public init(_ kind: RecordKind, _ field: String? = nil, _ what: String) {
    self.kind = kind
    self.field = field
    self.what = what
  }

  /// `field 'hyperparameters' of record 'attached' is missing`
  public var description: String {
    field.map { "field '\($0)' of record '\(kind.name)' \(what)" } ?? "record '\(kind.name)' \(what)"
  }
}

extension RecordKind {
  public var name: String {
    switch self {
    case .padding: "padding"
    case .attached: "attached"
    case .snapshot: "snapshot"
    case .staged: "staged"
    case .failure: "failure"
    case .finished: "finished"
    case .metricNames: "metric names"
    case .metrics: "metrics"
    }
  }
}
