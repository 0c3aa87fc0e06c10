import Checkpoints
import Glibc
import POSIX
import Reporting
import SystemPackage

/// A checkpoint that is being copied to a local directory: written beside it under a temporary name, verified, made
/// durable, and renamed.
struct NewCheckpoint: Sendable {
  let destination: FilePath
  let aside: FilePath

  init(_ destination: FilePath) throws(StorageError) {
    guard let name = destination.lastComponent?.string, LocalCheckpoints.isValid(name) else {
      throw StorageError(.unsupported, "invalid checkpoint name", path: destination)
    }
    self.destination = destination
    aside = Self.aside(of: destination)
  }

  static func aside(of destination: FilePath) -> FilePath {
    let name = destination.lastComponent?.string ?? ""
    return destination.removingLastComponent().appending(LocalCheckpoints.loadingPrefix + name)
  }

  /// Creates the temporary directory. What an earlier load left in it is retained, except for other files.
  /// - Parameters:
  ///   - bytes: that will be written. Checked first, as trying would use up the disk's last blocks.
  ///   - replacing: whether the destination may exist.
  /// - Returns: names of the files that were left.
  @discardableResult
  func prepare(bytes: Int, files: Set<String>, replacing: Bool = false) throws(StorageError) -> Set<String> {
    if !replacing, FileKind.of(destination) != nil {
      throw StorageError(
        .unsupported, "already exists, and is not replaced", path: destination, hint: "ls -l \(destination)")
    }
    do throws(POSIXError) {
      try FileSystem.makeDirectories(destination.removingLastComponent(), mode: 0o750)
      if FileKind.of(aside) != .directory {
        if FileKind.of(aside) != nil { try FileSystem.removeTree(aside) }
        try posix("mkdir", aside) { aside.withPlatformString { mkdir($0, 0o750) } }
      }
      var present = 0
      var left: Set<String> = []
      for name in try FileSystem.list(aside) {
        let path = aside.appending(name)
        if files.contains(name), FileKind.of(path) == .ordinary {
          present += Int(try OpenFile(path, .readOnly).status().st_blocks) * 512
          left.insert(name)
        } else {
          try FileSystem.removeTree(path)
        }
      }
      let available = try FileSystem.availableBytes(aside)
      guard bytes - present <= available else {
        throw POSIXError("write", path: destination, errno: .noSpace)
      }
      return left
    } catch {
      throw StorageError("cannot store the checkpoint", error)
    }
  }

  /// Creates or opens a file of it, with its final size.
  func open(_ name: String, bytes: Int) throws(StorageError) -> OpenFile {
    do throws(POSIXError) {
      let file = try OpenFile(aside.appending(name), .readWrite, create: .ifAbsent(mode: 0o640))
      if try file.size() != bytes { try file.truncate(to: bytes) }
      return file
    } catch {
      throw StorageError("cannot store the checkpoint", error)
    }
  }

  /// Verifies all files, makes them durable, and gives them their name.
  /// - Parameter replacing: called before the rename, to remove another checkpoint with this name.
  /// - Throws: `damaged`; the temporary directory is removed then.
  func finish(
    _ isCancelled: @escaping Transfer.Cancellation,
    replacing: () throws(StorageError) -> Void = {}
  ) throws(StorageError) {
    let name = destination.lastComponent?.string ?? ""
    let verdict = LocalCheckpoints.verify(aside, named: name, thorough: true, isCancelled: isCancelled)
    if isCancelled() { throw .cancelled }
    if let fault = verdict.fault {
      discard()
      throw StorageError(.damaged, fault, path: destination, hint: "use an older checkpoint")
    }
    do throws(POSIXError) {
      for name in try FileSystem.list(aside) {
        try OpenFile(aside.appending(name), .readOnly).synchronize()
      }
      try FileSystem.synchronizeDirectory(aside)
    } catch {
      throw StorageError("cannot make the checkpoint durable", error)
    }
    try replacing()
    do throws(POSIXError) {
      try FileSystem.rename(aside, to: destination)
      try FileSystem.synchronizeDirectory(destination.removingLastComponent())
    } catch {
      throw StorageError("cannot make the checkpoint durable", error)
    }
  }

  /// If it cannot be removed now, `LocalCheckpoints.removeUnfinishedLoads` will.
  func discard() { try? FileSystem.removeTree(aside) }
}
