import Glibc
import POSIX
import Reporting
import SystemPackage

/// The directory of a checkpoint that is being published: written under a temporary name, made durable, renamed.
struct PublishingDirectory {
  let checkpoints: LocalCheckpoints
  let path: FilePath

  init(_ checkpoints: LocalCheckpoints, cutID: String) {
    self.checkpoints = checkpoints
    path = checkpoints.directory.appending(LocalCheckpoints.publishingPrefix + cutID)
  }

  /// Creates it, in place of what an earlier publication left.
  /// - Parameter bytes: that will be written.
  func prepare(bytes: Int) throws(POSIXError) {
    if !(try checkpoints.directoryExists()) {
      if checkpoints.parent == nil {
        try FileSystem.makeDirectories(checkpoints.directory, mode: 0o750)
      } else {
        // If its parent is missing, it was moved away, and is not created again.
        try posix("mkdir", checkpoints.directory) {
          checkpoints.directory.withPlatformString { mkdir($0, 0o750) }
        }
      }
      try FileSystem.synchronizeDirectory(checkpoints.directory.removingLastComponent())
    }
    if LocalCheckpoints.pathExists(path) { try FileSystem.removeTree(path) }
    // Checked before anything is allocated, as trying would use up the disk's last blocks.
    guard bytes <= (try FileSystem.availableBytes(checkpoints.directory)) else {
      throw POSIXError("publish", path: checkpoints.directory, errno: .noSpace)
    }
    try posix("mkdir", path) { path.withPlatformString { mkdir($0, 0o750) } }
  }

  /// Adds manifest and digests, and gives it its name. The other files must be durable.
  /// - Returns: size of what was added.
  func finish(_ manifest: Manifest, as name: String, bytes: Int) throws(CheckpointError) -> Int {
    let text = try manifest.encoded()
    let sums = Self.digests(manifest, manifestText: text)
    do throws(POSIXError) {
      try write(text, to: path.appending(LocalCheckpoints.manifestName))
      try write(sums, to: path.appending(LocalCheckpoints.digestsName))
      try FileSystem.synchronizeDirectory(path)
      _ = try checkpoints.directoryExists()
      try FileSystem.rename(path, to: checkpoints.path(of: name))
      do throws(POSIXError) {
        try FileSystem.synchronizeDirectory(checkpoints.directory)
      } catch {
        // It is complete but may not be durable, so it must not be listed. If this fails too, it remains
        // listed.
        try? FileSystem.rename(checkpoints.path(of: name), to: path)
        throw error
      }
    } catch {
      throw failure(error, bytes: bytes)
    }
    return text.count + sums.count
  }

  /// If it cannot be removed now, `LocalCheckpoints.removeLeftovers` will.
  func discard() { try? FileSystem.removeTree(path) }

  private func write(_ bytes: [UInt8], to path: FilePath) throws(POSIXError) {
    let file = try OpenFile(path, .writeOnly, create: .always(mode: 0o640))
    try file.write(all: bytes)
    try file.synchronize()
  }

  /// The input of `xxh128sum --check`.
  static func digests(_ manifest: Manifest, manifestText: [UInt8]) -> [UInt8] {
    let lines = manifest.files.map { "\($0.digest?.hexadecimal ?? "")  \($0.name)\n" }
    let own = Digest(of: manifestText).hexadecimal
    return Array("\(lines.joined())\(own)  \(LocalCheckpoints.manifestName)\n".utf8)
  }

  /// - Parameter bytes: size of the whole checkpoint.
  func failure(_ error: POSIXError, bytes: Int) -> CheckpointError {
    if error.errno == .canceled {
      return CheckpointError(.cancelled, "cancelled", path: error.path)
    }
    guard error.errno.isNoRoom else {
      return CheckpointError("the checkpoint could not be made durable", error)
    }
    let directory = checkpoints.directory
    if error.errno == .diskQuotaExceeded {
      return CheckpointError(
        "a disk quota has no room for a checkpoint: it needs \(bytes) bytes", error,
        hint: "quota -s  free some space within the quota, or keep fewer checkpoints")
    }
    if error.errno == .noSpace, (try? FileSystem.availableInodes(directory)) == 0 {
      return CheckpointError(
        "no inode is free for a checkpoint", error,
        hint: "df -i \(directory)  remove files from this filesystem")
    }
    let free = (try? FileSystem.availableBytes(directory)).map { "\($0) are free" } ?? "too few are free"
    return CheckpointError(
      "no space for a checkpoint: it needs \(bytes) bytes, \(free)", error,
      hint: "free some space on this filesystem, or keep fewer checkpoints")
  }
}
