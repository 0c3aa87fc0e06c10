import Glibc
public import SystemPackage

/// What stands at a path, as a message calls it.
public enum FileKind: String, Equatable, Sendable {
  case ordinary = "an ordinary file"
  case directory = "a directory"
  case symbolicLink = "a symbolic link"
  case pipe = "a named pipe"
  case socket = "a socket"
  case device = "a device"
  case unknown = "no ordinary file"
  /// An ordinary file too, but what is written into it is written under its other name as well.
  case secondName = "a hard link to a file that has another name too"

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

  /// - Parameter followsLink: look at what a symbolic link leads to.
  /// - Returns: nil when nothing is there, or it cannot be looked at.
  public static func of(_ path: FilePath, followsLink: Bool = false) -> FileKind? {
    var status = stat()
    let code = path.withPlatformString { followsLink ? stat($0, &status) : lstat($0, &status) }
    return code == 0 ? FileKind(status) ?? .unknown : nil
  }

  /// What open(2) would say of it.
  var errno: Errno {
    switch self {
    case .symbolicLink: .tooManySymbolicLinkLevels
    case .directory: .isDirectory
    case .secondName: .tooManyLinks
    default: .invalidArgument
    }
  }
}
