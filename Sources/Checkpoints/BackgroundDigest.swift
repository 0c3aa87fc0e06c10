import POSIX
import Synchronization

/// Computes a digest on another thread while the same bytes are written.
final class BackgroundDigest: Sendable {
  private let done = Gate()
  private let isCancelled = Atomic(false)
  private let result = Mutex<Digest?>(nil)

  /// The caller must call `cancelAndWait` before `bytes` becomes invalid.
  init(_ bytes: UnsafeRawBufferPointer) {
    nonisolated(unsafe) let bytes = bytes
    let work: @Sendable () -> Void = { [self] in
      let digest = DigestComputation()
      var offset = 0
      while offset < bytes.count, !isCancelled.load(ordering: .relaxed) {
        let end = min(offset + (4 << 20), bytes.count)
        digest.update(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
        offset = end
      }
      let finished = digest.finish()
      result.withLock { $0 = finished }
      done.open()
    }
    // If no thread can be started, it is computed on this one.
    if (try? NativeThread.start(work)) == nil { work() }
  }

  func wait() -> Digest {
    if let digest = result.withLock({ $0 }) { return digest }
    done.wait()
    done.open()
    return result.withLock { $0 ?? Digest(.current, "") }
  }

  func cancelAndWait() {
    isCancelled.store(true, ordering: .relaxed)
    _ = wait()
  }
}
