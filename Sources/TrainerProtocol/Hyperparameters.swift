public import Reporting

/// Hyperparameters by name; values may be nested.
public typealias Hyperparameters = [String: JSONValue]

/// The name of the type from when only single values were possible.
public typealias Scalar = JSONValue
