import CSpawn
import Glibc
public import SystemPackage

/// A file descriptor that closes itself. Always opened close-on-exec: no descriptor of ours may
/// reach the trainer unless it is passed on purpose.
public final class OpenFile: Sendable {
  public let descriptor: CInt
  public let path: FilePath

  /// Flag of open(2): past the page cache.
  public static let direct: CInt = hf_open_direct

  /// Takes over `descriptor`.
  public init(adopting descriptor: CInt, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  /// open(2) with `O_CLOEXEC`.
  /// - Throws: `POSIXError` with the operation `open`.
  public convenience init(_ path: FilePath, _ flags: CInt, mode: mode_t = 0o600) throws(POSIXError) {
    let descriptor = try posix("open", path) { path.withPlatformString { open($0, flags | O_CLOEXEC, mode) } }
    self.init(adopting: descriptor, path: path)
  }

  deinit { close(descriptor) }

  /// Size in bytes.
  public func size() throws(POSIXError) -> Int {
    var status = stat()
    try posix("fstat", path) { fstat(descriptor, &status) }
    return Int(status.st_size)
  }

  /// Whether it is a regular file, and neither a directory nor a device nor a pipe.
  public func isOrdinary() throws(POSIXError) -> Bool {
    var status = stat()
    try posix("fstat", path) { fstat(descriptor, &status) }
    return status.st_mode & S_IFMT == S_IFREG
  }

  /// Reads from the current position, up to `limit` bytes or the end.
  public func read(atMost limit: Int) throws(POSIXError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    var count = 0
    while count < limit {
      let more = try posix("read", path) {
        bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, limit - count) }
      }
      if more == 0 { break }
      count += more
    }
    return Array(bytes[..<count])
  }

  public func truncate(to bytes: Int) throws(POSIXError) {
    try posix("ftruncate", path) { ftruncate(descriptor, off_t(bytes)) }
  }

  /// Reserves `bytes` from the start, so that later writes through a mapping cannot hit a full
  /// filesystem (which would be SIGBUS).
  public func allocate(bytes: Int) throws(POSIXError) {
    try posix("posix_fallocate", path) {
      // It returns the error instead of setting errno.
      let code = posix_fallocate(descriptor, 0, off_t(bytes))
      errno = code
      return code == 0 ? 0 : -1
    }
  }

  public func synchronize() throws(POSIXError) {
    try posix("fsync", path) { fsync(descriptor) }
  }

  /// Writes all of `bytes`, at the current position.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(POSIXError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = try posix("write", path) { Glibc.write(descriptor, rest.baseAddress, rest.count) }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Tries to take the flock(2), which the kernel releases when the last descriptor of this open file
  /// closes, a SIGKILL included.
  /// - Parameter shared: with others that take it so; else alone.
  /// - Returns: false when another open file holds it.
  public func tryLock(shared: Bool = false) throws(POSIXError) -> Bool {
    do {
      try posix("flock", path) { flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) }
      return true
    } catch {
      if error.errno == .wouldBlock { return false }
      throw error
    }
  }

  public func unlock() throws(POSIXError) {
    try posix("flock", path) { flock(descriptor, LOCK_UN) }
  }
}

extension OpenFile {
  public func write(all bytes: [UInt8]) throws(POSIXError) {
    var failure: POSIXError?
    bytes.withUnsafeBytes { buffer in
      do throws(POSIXError) { try write(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  public func seek(to offset: Int) throws(POSIXError) {
    try posix("lseek", path) { lseek(descriptor, off_t(offset), SEEK_SET) }
  }
}
