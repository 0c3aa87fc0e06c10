import Glibc
import POSIX
import Synchronization
import SystemPackage
import TrainerProtocol

/// Allocates the slots of the arena and touches their pages ahead of the first copy, on a thread: the kernel needs much
/// longer to clear new pages than the trainer to copy a state into them. It only ever adds pages, and changes nothing
/// in a slot.
final class ArenaPreparation: Sendable {
  private struct State {
    /// Size of images for which the slots were or are to be prepared.
    var wantedBytes = 0
    var preparedBytes = 0
    var isRunning = false
    var hasEnded = false
    /// Slots that are prepared: the file's identity and size.
    var slots: [Int: (file: String, bytes: Int)] = [:]
  }

  /// Sizes come from the trainer.
  private static let largestBytes = 1 << 46

  private let directory: FilePath
  private let slotCount: Int
  private let state = Mutex(State())
  private let stopped = Gate()

  init(_ directory: FilePath, slotCount: Int) {
    self.directory = directory
    self.slotCount = slotCount
  }

  var isBusy: Bool { state.withLock { $0.isRunning } }

  /// Size of images for which all slots have pages.
  var preparedBytes: Int { state.withLock { $0.preparedBytes } }

  /// Prepares the slots for images of this size, unless they are or memory does not suffice.
  /// - Parameters:
  ///   - isNew: an attempt begins, so slots may have been removed.
  ///   - completion: called on another thread when something was prepared.
  func prepare(imageBytes: Int, isNew: Bool = false, _ completion: @escaping @Sendable () -> Void) {
    let mustStart = state.withLock { state in
      // An image may be a little larger than the last one, within the reserve of its slot.
      guard 1...Self.largestBytes ~= imageBytes, !state.hasEnded,
        isNew || imageBytes > state.wantedBytes + state.wantedBytes / 128
      else { return false }
      state.wantedBytes = max(imageBytes, isNew ? 0 : state.wantedBytes)
      if isNew { state.preparedBytes = 0 }
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard mustStart else { return }
    let work: @Sendable () -> Void = { [self] in
      while fillSlots() {}
      completion()
    }
    // Lower priority than the trainer, but the first copy waits for it.
    if (try? NativeThread.start(niceness: 5, work)) == nil { state.withLock { $0.isRunning = false } }
  }

  /// Prepares nothing more, and waits until nothing in the directory is written.
  func end() {
    let mustWait = state.withLock { state in
      state.hasEnded = true
      return state.isRunning
    }
    if mustWait { stopped.wait() }
  }

  /// - Returns: whether there is more to do.
  private func fillSlots() -> Bool {
    let wanted = state.withLock { $0.wantedBytes }
    let isFull = (0..<slotCount).allSatisfy { fill($0, bytes: ArenaSlot.fileBytes(imageBytes: wanted)) }
    return state.withLock { state in
      if isFull { state.preparedBytes = wanted }
      if !state.hasEnded, state.wantedBytes != wanted { return true }
      state.isRunning = false
      if state.hasEnded { stopped.open() }
      return false
    }
  }

  /// - Returns: whether the slot has that many bytes of touched pages.
  private func fill(_ slot: Int, bytes: Int) -> Bool {
    guard !state.withLock({ $0.hasEnded }) else { return false }
    do throws(POSIXError) {
      let file = try OpenFile.replacing(ArenaSlot.path(in: directory, slot: UInt32(slot)), .readWrite)
      let identity = try file.identity()
      if try !file.isAllocated(bytes: bytes) {
        let missing = try file.unallocatedBytes(of: bytes)
        // A failed allocation leaves nothing behind.
        guard MemoryHeadroom.suffices(for: missing), missing <= (try FileSystem.availableBytes(directory))
        else { return false }
        try file.allocate(bytes: bytes)
      } else if state.withLock({ $0.slots[slot].map { $0.file == identity && $0.bytes >= bytes } ?? false }) {
        return true
      }
      file.touchPages(bytes: bytes) { state.withLock { $0.hasEnded } }
      state.withLock { $0.slots[slot] = (identity, bytes) }
      return true
    } catch {
      // The trainer's own copy reports it, if it persists.
      return false
    }
  }
}
