public import Checkpoints

/// An object whose whole state can be saved and loaded: a model, an optimizer, a schedule.
///
/// After `load(try other.state)`, an object must behave exactly like `other`, bit for bit. An object that consists
/// of others is a `Composite`.
public protocol Stateful: AnyObject {
  /// The current state. Tensors share their arrays, so reading it copies nothing.
  var state: StateValue { get }

  /// Loads a state that `state` returned. The accessors of `StateValue` with a key, such as
  /// `state.floats("weight", shape: [rows, columns])`, throw errors that name the key.
  /// - Throws: `CheckpointError` that names the mismatch if it does not fit this object.
  func load(_ state: StateValue) throws(CheckpointError)
}
