import Glibc
import POSIX
public import SystemPackage

/// The sizes of the files of many checkpoints in one directory, which are not read.
public struct CheckpointSizes: Sendable {
  private let directory: OpenFile?

  /// - Parameter path: of the checkpoints. If it cannot be opened, nothing has a size.
  public init(_ path: FilePath) { directory = try? OpenFile(directory: path) }

  /// The size of all files of a checkpoint.
  /// - Returns: nil if one is missing or is not a regular file.
  public func bytes(of name: String) -> UInt64? {
    guard let directory, LocalCheckpoints.isValid(name) else { return nil }
    func size(_ file: String) -> UInt64? {
      var status = stat()
      let code = fstatat(directory.descriptor, "\(name)/\(file)", &status, AT_SYMLINK_NOFOLLOW)
      return code == 0 && status.st_mode & S_IFMT == S_IFREG ? UInt64(status.st_size) : nil
    }
    guard let state = size(LocalCheckpoints.stateName), let manifest = size(LocalCheckpoints.manifestName)
    else { return nil }
    for algorithm in Digest.Algorithm.allCases {
      if let digests = size(algorithm.sumsName) { return state + manifest + digests }
    }
    return nil
  }
}
