import Glibc
public import SystemPackage

/// The type of a file, as named in messages.
public enum FileKind: String, Equatable, Sendable {
  case ordinary = "an ordinary file"
  case directory = "a directory"
  case symbolicLink = "a symbolic link"
  case pipe = "a named pipe"
  case socket = "a socket"
  case device = "a device"
  case unknown = "not an ordinary file"
  /// An ordinary file, but writing to it would change it under its other name as well.
  case hardLink = "a file with more than one hard link"

  init?(_ status: stat) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: self = .ordinary
    case S_IFDIR: self = .directory
    case S_IFLNK: self = .symbolicLink
    case S_IFIFO: self = .pipe
    case S_IFSOCK: self = .socket
    case S_IFCHR, S_IFBLK: self = .device
    default: return nil
    }
  }

  /// - Parameter followsLink: whether to follow a symbolic link.
  /// - Returns: nil when the file does not exist or cannot be examined.
  public static func of(_ path: FilePath, followsLink: Bool = false) -> FileKind? {
    var status = stat()
    let code = path.withPlatformString { followsLink ? stat($0, &status) : lstat($0, &status) }
    return code == 0 ? FileKind(status) ?? .unknown : nil
  }

  /// The error that open(2) would return for it.
  var errno: Errno {
    switch self {
    case .symbolicLink: .tooManySymbolicLinkLevels
    case .directory: .isDirectory
    case .hardLink: .tooManyLinks
    default: .invalidArgument
    }
  }
}
