public import Checkpoints

/// Something that can give its whole state and take it back: a model, an optimizer, a schedule.
///
/// After `load(try other.state)` an object must behave, to the bit, as `other` would have.
public protocol Stateful: AnyObject {
  /// The state now. Tensors share the arrays they are made of, so asking copies nothing.
  var state: StateValue { get }

  /// Takes over a state that `state` gave.
  /// - Throws: `CheckpointError` where it does not fit this object, naming what.
  func load(_ state: StateValue) throws(CheckpointError)
}
