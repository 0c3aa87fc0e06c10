import Checkpoints
import POSIX
import Synchronization
import SystemPackage
import TrainerProtocol

/// Computes a digest of each staged image, on a thread of low priority. An image that is overwritten meanwhile gets
/// none.
final class ImageDigests: Sendable {
  private struct State {
    /// Slots whose images are to be read, and the one that is being read.
    var waiting: [UInt32] = []
    var current: UInt32?
    var isRunning = false
    /// Made by this supervisor, which also checked the images' headers.
    var made: [UInt32: ImageDigest] = [:]
    var waiters: [Gate] = []
  }

  private let directory: FilePath
  private let image: @Sendable (UInt32) -> StagedImage?
  private let state = Mutex(State())

  init(_ directory: FilePath, image: @escaping @Sendable (UInt32) -> StagedImage?) {
    self.directory = directory
    self.image = image
  }

  /// Called when an image was staged into `slot`.
  func make(_ slot: UInt32) {
    let mustStart = state.withLock { state in
      if !state.waiting.contains(slot) { state.waiting.append(slot) }
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard mustStart else { return }
    let work: @Sendable () -> Void = { [self] in
      while let slot = next() { read(slot) }
    }
    // Without a thread there is no digest, and only the structure of the image is checked.
    if (try? NativeThread.start(niceness: 19, work)) == nil {
      state.withLock { state in
        state.waiting = []
        Self.end(&state)
      }
    }
  }

  /// The digest of the image of this cut, if this or an earlier supervisor made one.
  func digest(_ slot: UInt32, of cut: CutID) -> ImageDigest? {
    if let made = state.withLock({ $0.made[slot] }), made.cutID == cut { return made }
    return (try? ImageDigest.read(in: directory, slot: slot)).flatMap { $0.cutID == cut ? $0 : nil }
  }

  /// The fault of the digest that an earlier supervisor left; nil: none.
  func fault(_ slot: UInt32, of cut: CutID) -> String? {
    if state.withLock({ $0.made[slot]?.cutID == cut }) { return nil }
    do throws(ImageDigest.Unreadable) {
      _ = try ImageDigest.read(in: directory, slot: slot)
      return nil
    } catch {
      return "cannot read its digest: \(error.path)"
    }
  }

  /// As `digest`, but waits for one that is being made.
  func awaitedDigest(_ slot: UInt32, of cut: CutID) -> ImageDigest? {
    let gate: Gate? = state.withLock { state in
      guard state.isRunning, state.current == slot || state.waiting.contains(slot) else { return nil }
      let gate = Gate()
      state.waiters.append(gate)
      return gate
    }
    gate?.wait()
    return digest(slot, of: cut)
  }

  /// Whether this supervisor made a digest of the image with this header, and so has checked the image.
  func hasVerified(_ slot: UInt32, _ image: StagedImage) -> Bool {
    guard let made = state.withLock({ $0.made[slot] }) else { return false }
    return made.cutID == image.description.cutID && made.step == image.description.step
      && made.lengthBytes == UInt64(image.bytes.count)
  }

  /// The newest first: older ones are more likely to be overwritten.
  private func next() -> UInt32? {
    state.withLock { state in
      state.current = state.waiting.popLast()
      if state.current == nil { Self.end(&state) }
      return state.current
    }
  }

  private static func end(_ state: inout State) {
    state.isRunning = false
    for gate in state.waiters { gate.open() }
    state.waiters = []
  }

  private func read(_ slot: UInt32) {
    guard let image = image(slot), ResumeCandidates.fault(of: image) == nil else { return }
    let description = image.description
    // A digest of an earlier supervisor is preferred: it was made sooner after staging.
    guard digest(slot, of: description.cutID) == nil else { return }
    guard
      let found = ImageDigest.digest(
        image.path, offsetBytes: StagedImage.offsetBytes, lengthBytes: image.bytes.count),
      let after = self.image(slot), after.description == description, after.bytes.count == image.bytes.count
    else { return }
    let digest = ImageDigest(
      cutID: description.cutID, step: description.step, lengthBytes: UInt64(image.bytes.count),
      digest: found)
    // If the run directory is full, the digest is in memory only, and the next supervisor has none.
    try? digest.write(in: directory, slot: slot)
    state.withLock { $0.made[slot] = digest }
  }
}
