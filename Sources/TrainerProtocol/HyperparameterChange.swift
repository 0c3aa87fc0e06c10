public import Reporting

/// A hyperparameter of a job that `holdfast run --set` changed.
public struct HyperparameterChange: Hashable, Sendable, Codable {
  public var name: String
  public var from: JSONValue
  public var to: JSONValue
  /// The step of the state that the job continued from: later states were made with the new value.
  public var step: UInt64

  public init(name: String, from: JSONValue, to: JSONValue, step: UInt64) {
    self.name = name
    self.from = from
    self.to = to
    self.step = step
  }

  public var words: String { "\(name) from \(from.text()) to \(to.text())" }
}

extension [HyperparameterChange] {
  /// With exact numbers; see `ExactJSON`.
  public var json: JSONValue {
    .array(
      map { .object(["name": .string($0.name), "from": $0.from, "to": $0.to, "step": .count($0.step)]) })
  }

  public init?(_ json: JSONValue?) {
    guard let elements = json?.array else { return nil }
    self = elements.compactMap { element in
      guard let members = element.object, let name = members["name"]?.string, let from = members["from"],
        let to = members["to"], let step = members["step"]?.counter
      else { return nil }
      return HyperparameterChange(name: name, from: from, to: to, step: step)
    }
  }

  /// `hyperparameters` with these changes.
  public func applied(to hyperparameters: Hyperparameters) -> Hyperparameters {
    reduce(into: hyperparameters) { $0[$1.name] = $1.to }
  }
}
