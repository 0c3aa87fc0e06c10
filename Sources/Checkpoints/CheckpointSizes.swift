import Glibc
import POSIX
import Synchronization
public import SystemPackage

/// The sizes of the files of many checkpoints in one directory, which are not read.
public final class CheckpointSizes: Sendable {
  private let done = Gate()
  private let sizes = Mutex<[String: UInt64]>([:])

  /// Begins to look at the files at once, on another thread.
  /// - Parameter path: of the checkpoints. If it cannot be read, nothing has a size.
  public init(_ path: FilePath) {
    let work: @Sendable () -> Void = { [self] in
      let found = Self.sizes(in: path)
      sizes.withLock { $0 = found }
      done.open()
    }
    // If no thread can be started, it is done on this one.
    if (try? NativeThread.start(work)) == nil { work() }
  }

  /// The size of all files of a checkpoint; waits until all have been looked at.
  /// - Returns: nil if one is missing or is not a regular file.
  public func bytes(of name: String) -> UInt64? {
    done.wait()
    done.open()
    return sizes.withLock { $0[name] }
  }

  private static func sizes(in path: FilePath) -> [String: UInt64] {
    guard let directory = try? OpenFile(directory: path), let names = try? FileSystem.list(path) else {
      return [:]
    }
    var sizes: [String: UInt64] = [:]
    for name in names where LocalCheckpoints.isValid(name) { sizes[name] = bytes(of: name, in: directory) }
    return sizes
  }

  private static func bytes(of name: String, in directory: OpenFile) -> UInt64? {
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
