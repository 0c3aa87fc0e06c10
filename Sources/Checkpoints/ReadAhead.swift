import Glibc
import POSIX
import Synchronization

/// Reads a large file into the page cache ahead of its reader. The kernel's own read-ahead is too small to keep a fast
/// disk busy, and a larger one waits for the disk's queue, so it has a thread of its own.
final class ReadAhead: Sendable {
  private static let requestBytes = 4 << 20
  /// How far it may be ahead, so that nothing is displaced before it is read.
  private static let aheadBytes = 128 << 20

  private let position = Atomic(0)

  init(_ file: OpenFile, bytes: Int) {
    guard bytes > Self.requestBytes else { return }
    let work: @Sendable () -> Void = { [self] in
      var requested = 0
      while requested < bytes {
        let position = position.load(ordering: .relaxed)
        if position == .max { return }
        if requested - position > Self.aheadBytes {
          usleep(1000)
          continue
        }
        posix_fadvise(file.descriptor, off_t(requested), off_t(Self.requestBytes), POSIX_FADV_WILLNEED)
        requested += Self.requestBytes
      }
    }
    // Without it the file is read all the same.
    _ = try? NativeThread.start(work)
  }

  /// - Parameter offset: up to which the file has been read.
  func advance(to offset: Int) { position.store(offset, ordering: .relaxed) }

  func stop() { position.store(.max, ordering: .relaxed) }
}
