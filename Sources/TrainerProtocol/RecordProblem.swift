/// Something in a record that is not as Formats.md says. What else is in the record is used.
public struct RecordProblem: Hashable, Sendable {
  public var kind: RecordKind
  /// As the record spells it; nil: the record as a whole.
  public var field: String?
  /// A predicate: `is missing`, `is text, not a whole number`.
  public var what: String

  public init(_ kind: RecordKind, _ field: String? = nil, _ what: String) {
    self.kind = kind
    self.field = field
    self.what = what
  }

  /// `'hyperparameters' of a record 'attached' is missing`
  public var description: String {
    field.map { "'\($0)' of a record '\(kind.name)' \(what)" } ?? "a record '\(kind.name)' \(what)"
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
    }
  }
}
