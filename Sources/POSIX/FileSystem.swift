import CSpawn
import Glibc
public import SystemPackage

/// The operations on paths that durability is made of.
public enum FileSystem {
  /// Makes `path` and its missing parents; those made get `mode`.
  public static func makeDirectories(_ path: FilePath, mode: mode_t = 0o700) throws(POSIXError) {
    if isDirectory(path) { return }
    let parent = path.removingLastComponent()
    if !parent.isEmpty, parent != path { try makeDirectories(parent, mode: mode) }
    do {
      try posix("mkdir", path) { path.withPlatformString { mkdir($0, mode) } }
    } catch {
      if error.errno != .fileExists || !isDirectory(path) { throw error }
    }
  }

  public static func isDirectory(_ path: FilePath) -> Bool {
    var status = stat()
    return path.withPlatformString { stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  public static func exists(_ path: FilePath) -> Bool {
    path.withPlatformString { access($0, F_OK) } == 0
  }

  /// rename(2). Durable only after `synchronizeDirectory` of the parent.
  public static func rename(_ old: FilePath, to new: FilePath) throws(POSIXError) {
    try posix("rename", new) {
      old.withPlatformString { a in new.withPlatformString { Glibc.rename(a, $0) } }
    }
  }

  /// Lets two files change their names, both of which exist at every moment.
  public static func exchange(_ one: FilePath, _ other: FilePath) throws(POSIXError) {
    try posix("renameat2", one) {
      one.withPlatformString { a in other.withPlatformString { hf_exchange(a, $0) } }
    }
  }

  public static func synchronizeDirectory(_ path: FilePath) throws(POSIXError) {
    try OpenFile(path, O_RDONLY | O_DIRECTORY).synchronize()
  }

  /// Names in a directory without `.` and `..`, sorted.
  public static func list(_ path: FilePath) throws(POSIXError) -> [String] {
    guard let directory = path.withPlatformString({ opendir($0) }) else {
      throw POSIXError("opendir", path: path, errno: Errno(rawValue: errno))
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  public static func remove(_ path: FilePath) throws(POSIXError) {
    try posix("unlink", path) { path.withPlatformString { unlink($0) } }
  }

  /// Removes a directory and all below it, never following a symbolic link.
  public static func removeTree(_ path: FilePath) throws(POSIXError) {
    var status = stat()
    try posix("lstat", path) { path.withPlatformString { lstat($0, &status) } }
    guard status.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
    for name in try list(path) { try removeTree(path.appending(name)) }
    try posix("rmdir", path) { path.withPlatformString { rmdir($0) } }
  }

  /// The whole file.
  public static func read(_ path: FilePath) throws(POSIXError) -> [UInt8] {
    let file = try OpenFile(path, O_RDONLY)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = try posix("read", path) { Glibc.read(file.descriptor, &chunk, chunk.count) }
      if count == 0 { return bytes }
      bytes.append(contentsOf: chunk[..<count])
    }
  }

  /// Replaces `path` by `bytes` atomically: written aside, renamed over it.
  /// - Parameter durable: fsync the file before and the directory after the rename.
  public static func replace(
    _ path: FilePath, with bytes: [UInt8], durable: Bool, mode: mode_t = 0o600
  ) throws(POSIXError) {
    let aside = FilePath(path.string + ".new")
    do {
      let file = try OpenFile(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
      try file.write(all: bytes)
      if durable { try file.synchronize() }
    }
    try rename(aside, to: path)
    if durable { try synchronizeDirectory(path.removingLastComponent()) }
  }

  /// Whether `path` is on tmpfs or ramfs; elsewhere every write ends at a disk.
  public static func isInMemory(_ path: FilePath) -> Bool {
    var status = statfs()
    let tmpfs = 0x0102_1994
    let ramfs = 0x8584_58f6
    guard path.withPlatformString({ statfs($0, &status) }) == 0 else { return false }
    return status.f_type == tmpfs || status.f_type == ramfs
  }

  /// Room for unprivileged users on the filesystem of `path`, in bytes.
  public static func availableBytes(_ path: FilePath) throws(POSIXError) -> Int {
    var status = statvfs()
    try posix("statvfs", path) { path.withPlatformString { statvfs($0, &status) } }
    return Int(status.f_bavail) * Int(status.f_frsize)
  }
}
