import Checkpoints
import POSIX
import Synchronization
import SystemPackage
import TrainerProtocol

/// Makes a digest of each staged image, on a thread that takes no processor from the trainer. An image that
/// is overwritten meanwhile gets none.
final class ImageDigests: Sendable {
  private struct State {
    /// Slots whose images wait, and the one that is being read.
    var waiting: [UInt32] = []
    var current: UInt32?
    var isRunning = false
    /// Made by this supervisor, which looked at the images' headers too.
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

  /// Something was staged into `slot`.
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
    // Without a thread there is no digest, and the image is checked by its structure alone.
    if (try? NativeThread.start(niceness: 19, work)) == nil {
      state.withLock { state in
        state.waiting = []
        Self.end(&state)
      }
    }
  }

  /// The digest of the image that has this cut, where one was made, now or by an earlier supervisor.
  func digest(_ slot: UInt32, of cut: CutID) -> ImageDigest? {
    if let made = state.withLock({ $0.made[slot] }), made.cutID == cut { return made }
    return (try? ImageDigest.read(in: directory, slot: slot)).flatMap { $0.cutID == cut ? $0 : nil }
  }

  /// What is wrong with the digest that an earlier supervisor left; nil: nothing.
  func fault(_ slot: UInt32, of cut: CutID) -> String? {
    if state.withLock({ $0.made[slot]?.cutID == cut }) { return nil }
    do throws(ImageDigest.Unreadable) {
      _ = try ImageDigest.read(in: directory, slot: slot)
      return nil
    } catch {
      return "cannot read its digest: \(error.path)"
    }
  }

  /// As `digest`, after the one that is being made is.
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

  /// Whether this supervisor has compared the image of this header with it.
  func hasVerified(_ slot: UInt32, _ image: StagedImage) -> Bool {
    guard let made = state.withLock({ $0.made[slot] }) else { return false }
    return made.cutID == image.description.cutID && made.step == image.description.step
      && made.lengthBytes == UInt64(image.bytes.count)
  }

  /// The newest first: an older one is the likelier to be overwritten.
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
    // Of an earlier supervisor's making: it saw the image sooner.
    guard digest(slot, of: description.cutID) == nil else { return }
    guard
      let sha256 = ImageDigest.sha256(
        image.path, offsetBytes: StagedImage.offsetBytes, lengthBytes: image.bytes.count),
      let after = self.image(slot), after.description == description, after.bytes.count == image.bytes.count
    else { return }
    let digest = ImageDigest(
      cutID: description.cutID, step: description.step, lengthBytes: UInt64(image.bytes.count),
      sha256: sha256)
    // In memory only where the run directory is full: the next supervisor then hasVerified less.
    try? digest.write(in: directory, slot: slot)
    state.withLock { $0.made[slot] = digest }
  }
}
