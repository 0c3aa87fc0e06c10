public import Checkpoints

/// An object whose state consists of those of its parts, which may be composites too.
///
///     final class Model: Composite {
///       let encoder: Encoder
///       let decoder: Decoder
///       var parts: KeyValuePairs<String, any Stateful> { ["encoder": encoder, "decoder": decoder] }
///     }
///
/// An object with parts and values of its own implements `Stateful`:
///
///     var state: StateValue { .object(["encoder": encoder.state, "scale": .real(scale)]) }
///
///     func load(_ state: StateValue) throws(CheckpointError) {
///       try state.checkKeys(["encoder", "scale"])
///       try state.load("encoder", into: encoder)
///       scale = try state.real("scale")
///     }
public protocol Composite: Stateful {
  /// By key; the keys are unique, and the same in every attempt.
  var parts: KeyValuePairs<String, any Stateful> { get }
}

extension Composite {
  public var state: StateValue { .object(Dictionary(uniqueKeysWithValues: parts.map { ($0, $1.state) })) }

  public func load(_ state: StateValue) throws(CheckpointError) {
    try state.checkKeys(parts.map(\.key))
    for (key, part) in parts { try state.load(key, into: part) }
  }
}

extension StateValue {
  /// Loads the state of a part. Errors name the key.
  public func load(_ key: String, into part: any Stateful) throws(CheckpointError) {
    try load(key) { state throws(CheckpointError) in try part.load(state) }
  }
}
