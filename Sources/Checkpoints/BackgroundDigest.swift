import POSIX
import Synchronization

/// A SHA-256 that is made on another thread while its bytes are also written.
final class BackgroundDigest: Sendable {
  private let done = Gate()
  private let isCancelled = Atomic(false)
  private let result = Mutex<String?>(nil)

  /// Whoever makes this calls `cancelAndWait` before `bytes` go.
  init(_ bytes: UnsafeRawBufferPointer) {
    nonisolated(unsafe) let bytes = bytes
    let work: @Sendable () -> Void = { [self] in
      let digest = SHA256()
      var offset = 0
      while offset < bytes.count, !isCancelled.load(ordering: .relaxed) {
        let end = min(offset + (4 << 20), bytes.count)
        digest.update(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
        offset = end
      }
      let text = digest.finish()
      result.withLock { $0 = text }
      done.open()
    }
    // Without another thread it is made on this one.
    if (try? NativeThread.start(work)) == nil { work() }
  }

  func wait() -> String {
    if let text = result.withLock({ $0 }) { return text }
    done.wait()
    done.open()
    return result.withLock { $0 ?? "" }
  }

  func cancelAndWait() {
    isCancelled.store(true, ordering: .relaxed)
    _ = wait()
  }
}
