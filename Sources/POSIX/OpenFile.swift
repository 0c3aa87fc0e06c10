import CSpawn
import Glibc
public import SystemPackage

/// A file descriptor that closes itself. Always opened close-on-exec, so that no descriptor reaches the trainer
/// unless it is passed explicitly.
///
/// All files are opened here. If a pipe, a device or a symbolic link has taken a file's place, opening it fails,
/// without blocking or any other effect.
public final class OpenFile: Sendable {
  public let descriptor: CInt
  public let path: FilePath

  public enum Access: Sendable {
    case readOnly
    case writeOnly
    case readWrite
    /// For locking only.
    case lock
    /// `writeOnly`, bypassing the page cache.
    case writeDirectly
  }

  public enum Creation: Sendable {
    case never
    case ifAbsent(mode: mode_t)
    /// Fails if the name exists.
    case always(mode: mode_t)
  }

  /// Takes ownership of `descriptor`.
  public init(adopting descriptor: CInt, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Opens an ordinary file.
  /// - Parameter followsLink: true only for files that the user names, which may be links. Holdfast's own files
  ///   never are.
  /// - Throws: `POSIXError` with the operation `open`; `isMisplaced` when it is not an ordinary file, or it has
  ///   more than one hard link and is opened for writing.
  public convenience init(
    _ path: FilePath, _ access: Access, create: Creation = .never, followsLink: Bool = false
  ) throws(POSIXError) {
    // Checked first, as opening a device can have effects. The check by fstat(2) below is free of races.
    if let found = FileKind.of(path, followsLink: followsLink), found != .ordinary {
      throw POSIXError(misplaced: found, path)
    }
    let flags = access.flags | create.flags | (followsLink ? 0 : O_NOFOLLOW)
    let guarded = flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
    let descriptor = try posix("open", path) { path.withPlatformString { open($0, guarded, create.mode) } }
    self.init(adopting: descriptor, path: path)
    let status = try status()
    guard let kind = FileKind(status), kind == .ordinary else {
      throw POSIXError(misplaced: FileKind(status) ?? .unknown, path)
    }
    if access.isWriting, status.st_nlink > 1 { throw POSIXError(misplaced: .hardLink, path) }
    try posix("fcntl", path) { fcntl(descriptor, F_SETFL, flags) }
  }

  /// Opens a directory.
  public convenience init(directory path: FilePath, followsLink: Bool = true) throws(POSIXError) {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (followsLink ? 0 : O_NOFOLLOW)
    self.init(
      adopting: try posix("open", path) { path.withPlatformString { open($0, flags) } }, path: path)
  }

  /// Opens a device for reading without blocking.
  public convenience init(device path: FilePath) throws(POSIXError) {
    let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
    self.init(
      adopting: try posix("open", path) { path.withPlatformString { open($0, flags) } }, path: path)
  }

  /// Opens a file in a directory private to holdfast. Anything else at `path` was put there by a trainer and is
  /// removed.
  public static func replacing(
    _ path: FilePath, _ access: Access, mode: mode_t = 0o600
  ) throws(POSIXError) -> OpenFile {
    do {
      return try OpenFile(path, access, create: .ifAbsent(mode: mode))
    } catch {
      guard error.isMisplaced else { throw error }
      try FileSystem.removeTree(path)
      return try OpenFile(path, access, create: .always(mode: mode))
    }
  }

  deinit { close(descriptor) }

  /// Makes this descriptor refer to the file that `other` has open, for all that use it.
  public func refer(to other: OpenFile) throws(POSIXError) {
    try posix("dup3", path) { hf_duplicate(other.descriptor, descriptor) }
  }

  public func status() throws(POSIXError) -> stat {
    var status = stat()
    try posix("fstat", path) { fstat(descriptor, &status) }
    return status
  }

  /// Whether its path still leads to this file.
  public func isStillNamed() throws(POSIXError) -> Bool {
    var named = stat()
    guard path.withPlatformString({ stat($0, &named) }) == 0 else { return false }
    let opened = try status()
    return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino
  }

  /// Device and inode, which identify a file as long as it is open.
  public func identity() throws(POSIXError) -> String {
    let status = try status()
    return "\(status.st_dev):\(status.st_ino)"
  }

  /// Access time since 1970, as updated by reads or `FileSystem.setAccessed`.
  public func accessNanoseconds() throws(POSIXError) -> UInt64 {
    let time = hf_access_nanoseconds(descriptor)
    guard time >= 0 else { throw POSIXError("fstat", path: path, errno: Errno(rawValue: errno)) }
    return UInt64(time)
  }

  /// Size in bytes.
  public func size() throws(POSIXError) -> Int { Int(try status().st_size) }

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

  /// Reserves `bytes` from the start, so that later writes through a mapping cannot fail (SIGBUS) on a full
  /// filesystem.
  public func allocate(bytes: Int) throws(POSIXError) {
    try posix("posix_fallocate", path) {
      // It returns the error and does not set errno.
      let code = posix_fallocate(descriptor, 0, off_t(bytes))
      errno = code
      return code == 0 ? 0 : -1
    }
  }

  /// Whether all of its first `bytes` bytes are allocated, so that `allocate` has nothing to do.
  public func isAllocated(bytes: Int) throws(POSIXError) -> Bool {
    let status = try status()
    return Int(status.st_size) >= bytes && Int(status.st_blocks) * 512 >= bytes
  }

  /// How much `allocate` would add to a file without holes.
  public func unallocatedBytes(of bytes: Int) throws(POSIXError) -> Int {
    max(0, bytes - Int(try status().st_blocks) * 512)
  }

  /// Makes the kernel clear allocated pages of a file in memory, without changing what they contain. A later access
  /// is then as fast as memory. Failures, such as a file that is truncated meanwhile, only make it slower.
  public func touchPages(bytes: Int, isCancelled: () -> Bool = { false }) {
    let window = 32 << 20
    for offset in stride(from: 0, to: bytes, by: window) where !isCancelled() {
      let count = min(window, bytes - offset)
      let flags = MAP_SHARED | CInt(MAP_POPULATE)
      let address = mmap(nil, count, PROT_READ | PROT_WRITE, flags, descriptor, off_t(offset))
      if let address, address != MAP_FAILED { munmap(address, count) }
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

  /// Tries to acquire a flock(2), which the kernel releases when the last descriptor of this open file is closed,
  /// even by SIGKILL.
  /// - Parameter shared: a shared lock; otherwise exclusive.
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

extension OpenFile.Access {
  fileprivate var flags: CInt {
    switch self {
    case .readOnly: O_RDONLY
    case .writeOnly: O_WRONLY
    // On NFS, an exclusive lock requires write access.
    case .readWrite, .lock: O_RDWR
    case .writeDirectly: O_WRONLY | hf_open_direct
    }
  }

  fileprivate var isWriting: Bool {
    switch self {
    case .readOnly, .lock: false
    case .writeOnly, .readWrite, .writeDirectly: true
    }
  }
}

extension OpenFile.Creation {
  fileprivate var flags: CInt {
    switch self {
    case .never: 0
    case .ifAbsent: O_CREAT
    case .always: O_CREAT | O_EXCL
    }
  }

  fileprivate var mode: mode_t {
    switch self {
    case .never: 0
    case .ifAbsent(let mode), .always(let mode): mode
    }
  }
}
