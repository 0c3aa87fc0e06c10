public import Checkpoints

/// An object whose whole state can be saved and loaded: a model, an optimizer, a schedule.
///
/// After `load(try other.state)`, an object must behave exactly like `other`, bit for bit.
public protocol Stateful: AnyObject {
  /// The current state. Tensors share their arrays, so reading it copies nothing.
  var state: StateValue { get }

  /// Loads a state that `state` returned.
  /// - Throws: `CheckpointError` that names the mismatch if it does not fit this object.
  func load(_ state: StateValue) throws(CheckpointError)
}
