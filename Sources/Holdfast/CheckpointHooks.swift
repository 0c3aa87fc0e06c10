public import Checkpoints

/// A registered object that takes part in saving and loading whole checkpoints, in addition to its own state.
///
/// The states are those of all components by name, and entries that hooks have added. Hooks may read, add, change
/// and delete entries. Those of components are called first, in the order of registration, then the run's.
public protocol CheckpointHooks: AnyObject {
  /// Called for each saved state, while the trainer waits.
  func onSaveCheckpoint(_ states: inout [String: StateValue])

  /// Called before the components load their states.
  /// - Throws: if the checkpoint does not fit; nothing is loaded then.
  func onLoadCheckpoint(_ states: inout [String: StateValue]) throws(CheckpointError)
}

extension CheckpointHooks {
  public func onSaveCheckpoint(_ states: inout [String: StateValue]) {}
  public func onLoadCheckpoint(_ states: inout [String: StateValue]) throws(CheckpointError) {}
}
