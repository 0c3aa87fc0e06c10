public import Reporting

/// A document with hyperparameters and what `--set` changed of them, in which their numbers keep their type.
public protocol HyperparameterDocument: ExactJSON {
  var hyperparameters: Hyperparameters { get set }
  var hyperparameterChanges: [HyperparameterChange]? { get set }
}

extension HyperparameterDocument {
  public var exactMembers: [String: JSONValue] {
    get {
      var members = ["hyperparameters": JSONValue.object(hyperparameters)]
      if let hyperparameterChanges { members["hyperparameter_changes"] = hyperparameterChanges.json }
      return members
    }
    set {
      hyperparameters = newValue["hyperparameters"]?.object ?? hyperparameters
      hyperparameterChanges = .init(newValue["hyperparameter_changes"]) ?? hyperparameterChanges
    }
  }
}
