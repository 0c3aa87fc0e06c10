import CSpawn
import Glibc
public import SystemPackage

/// Operations on paths, including those for durable changes.
public enum FileSystem {
  /// Creates `path` and its missing parents, with `mode`.
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

  /// Modification time since 1970; nil if the file does not exist.
  public static func modificationNanoseconds(_ path: FilePath) -> UInt64? {
    UInt64(exactly: path.withPlatformString { hf_modification_nanoseconds($0) })
  }

  /// Sets the access time to now. Only its owner and root can.
  public static func setAccessed(_ path: FilePath) { _ = path.withPlatformString { hf_set_accessed($0) } }

  /// The target of a symbolic link; nil if there is none.
  public static func linkTarget(_ path: FilePath) -> String? {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = path.withPlatformString { readlink($0, &target, target.count) }
    return count < 0 ? nil : String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The path without symbolic links; nil if the file does not exist.
  public static func canonical(_ path: FilePath) -> FilePath? {
    guard let text = path.withPlatformString({ realpath($0, nil) }) else { return nil }
    defer { free(text) }
    return FilePath(platformString: text)
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

  /// Exchanges two files atomically.
  public static func exchange(_ one: FilePath, _ other: FilePath) throws(POSIXError) {
    try posix("renameat2", one) {
      one.withPlatformString { a in other.withPlatformString { hf_exchange(a, $0) } }
    }
  }

  /// Renames a file, unless `new` exists: then it throws `fileExists`.
  public static func renameToNew(_ old: FilePath, _ new: FilePath) throws(POSIXError) {
    do {
      try posix("link", new) { old.withPlatformString { a in new.withPlatformString { link(a, $0) } } }
    } catch {
      // Filesystems without hard links.
      guard [.notPermitted, .notSupported, .noFunction, .tooManyLinks].contains(error.errno) else {
        throw error
      }
      if FileKind.of(new) != nil { throw POSIXError("rename", path: new, errno: .fileExists) }
      return try rename(old, to: new)
    }
    try remove(old)
  }

  public static func synchronizeDirectory(_ path: FilePath) throws(POSIXError) {
    try OpenFile(directory: path).synchronize()
  }

  /// Names in a directory without `.` and `..`, sorted.
  public static func list(_ path: FilePath) throws(POSIXError) -> [String] {
    try names(OpenFile(directory: path)).map { name in
      String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }.sorted()
  }

  /// Raw bytes, NUL-terminated, as a name need not be UTF-8.
  private static func names(_ opened: OpenFile) throws(POSIXError) -> [[CChar]] {
    // closedir(3) closes the copy; `opened` closes the original.
    let copy = try posix("fcntl", opened.path) { fcntl(opened.descriptor, F_DUPFD_CLOEXEC, 0) }
    guard let directory = fdopendir(copy) else {
      let code = errno
      close(copy)
      throw POSIXError("opendir", path: opened.path, errno: Errno(rawValue: code))
    }
    defer { closedir(directory) }
    var names: [[CChar]] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        $0.prefix(while: { $0 != 0 }).map { CChar(bitPattern: $0) }
      }
      if name != [0x2e], name != [0x2e, 0x2e] { names.append(name + [0]) }
    }
    return names
  }

  public static func remove(_ path: FilePath) throws(POSIXError) {
    try posix("unlink", path) { path.withPlatformString { unlink($0) } }
  }

  /// Removes a file, or a directory with its contents. Symbolic links are never followed, even if one replaces a
  /// directory during the removal.
  public static func removeTree(_ path: FilePath) throws(POSIXError) {
    guard FileKind.of(path) == .directory else { return try remove(path) }
    if path.withPlatformString({ rmdir($0) }) == 0 { return }
    try empty(try OpenFile(directory: path, followsLink: false))
    try posix("rmdir", path) { path.withPlatformString { rmdir($0) } }
  }

  private static func empty(_ directory: OpenFile) throws(POSIXError) {
    for name in try names(directory) {
      let path = directory.path.pushing(FilePath(platformString: name))
      if unlinkat(directory.descriptor, name, 0) == 0 { continue }
      // For a directory, Linux returns EISDIR; POSIX allows EPERM.
      let code = Errno(rawValue: errno)
      guard code == .isDirectory || code == .notPermitted else {
        throw POSIXError("unlink", path: path, errno: code)
      }
      let below = try posix("open", path) {
        openat(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      }
      try empty(OpenFile(adopting: below, path: path))
      try posix("rmdir", path) { unlinkat(directory.descriptor, name, AT_REMOVEDIR) }
    }
  }

  /// Reads the whole file.
  /// - Parameter followsLink: as for `OpenFile`.
  public static func read(_ path: FilePath, followsLink: Bool = false) throws(POSIXError) -> [UInt8] {
    let file = try OpenFile(path, .readOnly, followsLink: followsLink)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = try posix("read", path) { Glibc.read(file.descriptor, &chunk, chunk.count) }
      if count == 0 { return bytes }
      bytes.append(contentsOf: chunk[..<count])
    }
  }

  /// Replaces the contents of `path` atomically: writes a temporary file and renames it.
  /// - Parameters:
  ///   - durable: fsync the file before and the directory after the rename.
  ///   - mode: restricted by the umask.
  ///   - clearing: remove a directory that has one of the names. Only for directories private to holdfast.
  public static func replace(
    _ path: FilePath, with bytes: [UInt8], durable: Bool, mode: mode_t = 0o600, clearing: Bool = false
  ) throws(POSIXError) {
    let aside = FilePath(path.string + ".new")
    do {
      let file = try createReplacing(aside, mode: mode, clearing: clearing)
      try file.write(all: bytes)
      if durable { try file.synchronize() }
    }
    if clearing, FileKind.of(path) == .directory { try removeTree(path) }
    try rename(aside, to: path)
    if durable { try synchronizeDirectory(path.removingLastComponent()) }
  }

  /// Creates a new file, which no other process has open or linked, in place of what an earlier one left.
  public static func createReplacing(
    _ path: FilePath, mode: mode_t, clearing: Bool = false
  ) throws(POSIXError) -> OpenFile {
    do {
      if clearing { try removeTree(path) } else { try remove(path) }
    } catch {
      if error.errno != .noSuchFileOrDirectory { throw error }
    }
    return try OpenFile(path, .writeOnly, create: .always(mode: mode))
  }

  /// Whether `path` is on tmpfs or ramfs.
  public static func isInMemory(_ path: FilePath) -> Bool {
    var status = statfs()
    let tmpfs = 0x0102_1994
    let ramfs = 0x8584_58f6
    guard path.withPlatformString({ statfs($0, &status) }) == 0 else { return false }
    return status.f_type == tmpfs || status.f_type == ramfs
  }

  /// Type and id of the filesystem of `path`, which most filesystems derive from their UUID.
  public static func identity(ofFilesystem path: FilePath) throws(POSIXError) -> String {
    var type = statfs()
    try posix("statfs", path) { path.withPlatformString { statfs($0, &type) } }
    var status = statvfs()
    try posix("statvfs", path) { path.withPlatformString { statvfs($0, &status) } }
    return "\(String(type.f_type, radix: 16)):\(String(status.f_fsid, radix: 16))"
  }

  /// Inodes available to unprivileged users on the filesystem of `path`; nil: it does not count them.
  public static func availableInodes(_ path: FilePath) throws(POSIXError) -> UInt64? {
    var status = statvfs()
    try posix("statvfs", path) { path.withPlatformString { statvfs($0, &status) } }
    return status.f_files == 0 ? nil : UInt64(status.f_favail)
  }

  /// Space that a file takes, in bytes; 0: there is none.
  public static func allocatedBytes(_ path: FilePath) -> UInt64 {
    var status = stat()
    guard path.withPlatformString({ lstat($0, &status) }) == 0 else { return 0 }
    return UInt64(clamping: status.st_blocks) * 512
  }

  /// Space available to unprivileged users on the filesystem of `path`, in bytes.
  public static func availableBytes(_ path: FilePath) throws(POSIXError) -> Int {
    var status = statvfs()
    try posix("statvfs", path) { path.withPlatformString { statvfs($0, &status) } }
    // A FUSE filesystem may return any numbers.
    let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflow ? .max : Int(clamping: bytes)
  }
}
