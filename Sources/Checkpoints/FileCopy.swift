import Glibc
import POSIX
import SystemPackage

/// A durable copy of a file, and the digest of the copied bytes. Where the filesystem can, the copy shares the bytes of
/// the source (`cp --reflink`), and is then not changed by a program that is still writing to the source.
struct FileCopy {
  let bytes: UInt64
  let digest: Digest

  /// FICLONE of linux/fs.h: ioctl_ficlone(2).
  private static let clone: UInt = 0x4004_9409
  /// Dirty pages are written back after so many bytes, so that a large copy does not displace the trainer's pages.
  private static let flushBytes = 64 << 20

  /// - Parameters:
  ///   - path: must not exist.
  ///   - isCancelled: called between chunks.
  ///   - modifiedNs: modification time of the copy, since 1970; nil: now.
  ///   - progress: called with the size of each chunk.
  init(
    of source: OpenFile, to path: FilePath, mode: mode_t, modifiedNs: UInt64? = nil,
    _ algorithm: Digest.Algorithm = .current,
    isCancelled: @Sendable () -> Bool,
    progress: (Int) -> Void = { _ in }
  ) throws(POSIXError) {
    let target = try OpenFile(path, .readWrite, create: .always(mode: mode))
    let isClone = ioctl(target.descriptor, Self.clone, source.descriptor) == 0
    let computation = DigestComputation(algorithm)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    posix_fadvise(source.descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    let origin = isClone ? target : source
    var (offset, flushed) = (0, 0)
    while true {
      if isCancelled() { throw POSIXError("copy", path: path, errno: .canceled) }
      let count = try posix("read", source.path) {
        pread(origin.descriptor, chunk.baseAddress, chunk.count, off_t(offset))
      }
      if count == 0 { break }
      let read = UnsafeRawBufferPointer(rebasing: chunk[..<count])
      computation.update(read)
      if !isClone { try target.write(read) }
      offset += count
      progress(count)
      guard !isClone, offset - flushed >= Self.flushBytes else { continue }
      try target.synchronize()
      posix_fadvise(target.descriptor, 0, 0, POSIX_FADV_DONTNEED)
      flushed = offset
    }
    if let modifiedNs {
      let time = timespec(
        tv_sec: Int(modifiedNs / 1_000_000_000), tv_nsec: Int(modifiedNs % 1_000_000_000))
      // If it cannot be set, the copy only looks newer.
      _ = [time, time].withUnsafeBufferPointer { futimens(target.descriptor, $0.baseAddress) }
    }
    try target.synchronize()
    bytes = UInt64(offset)
    digest = computation.finish()
  }
}
