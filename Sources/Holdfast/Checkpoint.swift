public import Checkpoints
import Reporting
public import SystemPackage
public import TrainerProtocol

/// A checkpoint that was loaded for use without a run, for example for inference. It needs no supervisor.
public struct Checkpoint: Sendable {
  /// Step after which it was saved.
  public let step: UInt64
  /// Epoch of that step, from 0.
  public let epoch: UInt64
  /// Batches consumed in that epoch.
  public let batch: UInt64
  /// Samples consumed in the whole run.
  public let samples: UInt64
  /// States by component name, for `load` of the object that saved them.
  public let components: [String: StateValue]
  /// Of the run, with those of `overriding` instead of the saved ones.
  public let hyperparameters: Hyperparameters
  /// Of that step, by name.
  public let metrics: [String: Double]

  /// - Parameters:
  ///   - path: a checkpoint's directory, which is verified first, or a `.safetensors` file of one.
  ///   - overriding: hyperparameters that replace saved ones. Unknown names are added, as Lightning's
  ///     `load_from_checkpoint` does.
  /// - Throws: `cannotRestore` if it does not exist, is damaged, or `path` is a URL.
  public static func load(
    _ path: FilePath, overriding: Hyperparameters = [:]
  ) throws(HoldfastError) -> Checkpoint {
    let (image, manifest) = try NamedCheckpoint(path: path).read()
    return Checkpoint(
      step: image.loop.step, epoch: image.loop.epoch, batch: image.loop.batch, samples: image.loop.samples,
      components: image.components,
      hyperparameters: (manifest?.hyperparameters ?? [:]).merging(overriding) { $1 },
      metrics: manifest?.metrics ?? [:])
  }

  /// The state of one component.
  /// - Throws: `cannotRestore` if there is none.
  public func state(of component: String) throws(HoldfastError) -> StateValue {
    guard let state = components[component] else {
      let known = components.keys.sorted().joined(separator: ", ")
      throw HoldfastError(
        .cannotRestore, "the checkpoint has no state of '\(component)'", hint: "it has: \(words: known)")
    }
    return state
  }
}
