import Glibc
import POSIX
import Reporting
import SystemPackage

/// Makes an image a durable checkpoint: written aside, fsynced, renamed, its parent fsynced. One that is there already
/// (the supervisor died before it could say so) is not written again.
struct CheckpointPublication {
  let checkpoints: LocalCheckpoints
  /// Page-aligned where it can be, so that it goes to the disk without a copy.
  let image: UnsafeRawBufferPointer
  /// All but its files and ranks, which are found out here.
  let draft: Manifest

  func run(
    isIntact: @Sendable () -> Bool, isCancelled: @Sendable () -> Bool, expected: @Sendable () -> String?
  ) throws(CheckpointError) -> PublishedCheckpoint {
    guard LocalCheckpoints.isValid(draft.cutID) else {
      throw CheckpointError(.unsupported, "'\(draft.cutID)' is not a cut id")
    }
    let loop = try ImageReader.loop(image)
    if let published = try published() { return published }
    let aside = checkpoints.directory.appending(LocalCheckpoints.publishingPrefix + draft.cutID)
    do throws(POSIXError) {
      try makeRoom(aside)
    } catch {
      throw failure(error)
    }
    do throws(CheckpointError) {
      return try publish(loop, aside: aside, isIntact: isIntact, expected: expected, isCancelled: isCancelled)
    } catch {
      // The aside directory is in nobody's list; what cannot be removed now is a leftover.
      try? FileSystem.removeTree(aside)
      throw error
    }
  }

  private func makeRoom(_ aside: FilePath) throws(POSIXError) {
    if !(try checkpoints.isMade()) {
      if checkpoints.parent == nil {
        try FileSystem.makeDirectories(checkpoints.directory, mode: 0o750)
      } else {
        // What is above it is not made again: it was moved away.
        try posix("mkdir", checkpoints.directory) {
          checkpoints.directory.withPlatformString { mkdir($0, 0o750) }
        }
      }
      try FileSystem.synchronizeDirectory(checkpoints.directory.removingLastComponent())
    }
    if LocalCheckpoints.isThere(aside) { try FileSystem.removeTree(aside) }
    // Said before anything is reserved: an attempt would take the last block from everyone else.
    guard image.count <= (try FileSystem.availableBytes(checkpoints.directory)) else {
      throw POSIXError("publish", path: checkpoints.directory, errno: .noSpace)
    }
    try posix("mkdir", aside) { aside.withPlatformString { mkdir($0, 0o750) } }
  }

  private func publish(
    _ loop: ImageLoop, aside: FilePath, isIntact: @Sendable () -> Bool, expected: @Sendable () -> String?,
    isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> PublishedCheckpoint {
    let state = aside.appending(LocalCheckpoints.stateName)
    let digest = try writeImage(to: state, isCancelled: isCancelled)
    guard isIntact() else {
      throw CheckpointError(.damaged, "the image was cut off while it was read")
    }
    if let expected = expected(), expected != digest {
      throw .damaged(SHA256.mismatch(digest, expected))
    }
    var manifest = draft
    manifest.files = [.init(name: LocalCheckpoints.stateName, bytes: UInt64(image.count), sha256: digest)]
    manifest.ranks = [.init(rank: 0, files: [LocalCheckpoints.stateName], loopState: loop)]
    let text = try manifest.encoded()
    let sums = digests(manifest, manifestText: text)
    let name = freeName(manifest)
    do throws(POSIXError) {
      try write(text, to: aside.appending(LocalCheckpoints.manifestName))
      try write(sums, to: aside.appending(LocalCheckpoints.digestsName))
      try FileSystem.synchronizeDirectory(aside)
      _ = try checkpoints.isMade()
      try FileSystem.rename(aside, to: checkpoints.path(of: name))
      do throws(POSIXError) {
        try FileSystem.synchronizeDirectory(checkpoints.directory)
      } catch {
        // Whole, but perhaps not durable: not to be listed. Should this fail too, a whole one is.
        try? FileSystem.rename(checkpoints.path(of: name), to: aside)
        throw error
      }
    } catch {
      throw failure(error)
    }
    return PublishedCheckpoint(
      name: name, manifest: manifest, bytes: UInt64(image.count + text.count + sums.count), sha256: digest)
  }

  // MARK: Names

  /// `step-48700`; with the beginning of the cut's id, or all of it, where that name is taken.
  private static func possibleNames(_ manifest: Manifest) -> [String] {
    let name = "step-\(manifest.step)"
    return [name, "\(name)-\(manifest.cutID.prefix(8))", "\(name)-\(manifest.cutID)"]
  }

  private func freeName(_ manifest: Manifest) -> String {
    let names = Self.possibleNames(manifest)
    // With all taken, the rename of the last fails: no checkpoint is ever replaced.
    return names.first { !LocalCheckpoints.isThere(checkpoints.path(of: $0)) } ?? names[2]
  }

  /// The same cut, if it was published before and every byte of it is right.
  private func published() throws(CheckpointError) -> PublishedCheckpoint? {
    for name in Self.possibleNames(draft) where LocalCheckpoints.isThere(checkpoints.path(of: name)) {
      guard let manifest = checkpoints.verify(name, thorough: false).manifest, manifest.cutID == draft.cutID,
        manifest.jobID == draft.jobID, checkpoints.verify(name, thorough: true).manifest == manifest,
        let file = manifest.files.first, file.bytes == UInt64(image.count)
      else { continue }
      do {
        // Its rename may not have become durable.
        try FileSystem.synchronizeDirectory(checkpoints.directory)
      } catch {
        throw CheckpointError("the checkpoint could not be made durable", error)
      }
      let text = try manifest.encoded()
      let bytes = image.count + text.count + digests(manifest, manifestText: text).count
      return PublishedCheckpoint(name: name, manifest: manifest, bytes: UInt64(bytes), sha256: file.sha256)
    }
    return nil
  }

  private func write(_ bytes: [UInt8], to path: FilePath) throws(POSIXError) {
    let file = try OpenFile(path, .writeOnly, create: .always(mode: 0o640))
    try file.write(all: bytes)
    try file.synchronize()
  }

  // MARK: The image

  private static let chunkBytes = 8 << 20
  private static let alignment = 4096

  /// Writes the image past the page cache and makes its digest on another thread meanwhile.
  private func writeImage(
    to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> String {
    let hashing = BackgroundDigest(image)
    // The thread reads the image until it says so.
    defer { hashing.cancelAndWait() }
    do throws(POSIXError) {
      let file = try OpenFile(path, .writeOnly, create: .always(mode: 0o640))
      if image.count > 0 { try file.allocate(bytes: image.count) }
      let isAligned = UInt(bitPattern: image.baseAddress) % UInt(Self.alignment) == 0
      var offset = 0
      if isAligned, image.count >= Self.alignment,
        let direct = try? OpenFile(path, .writeDirectly)
      {
        let whole = image.count / Self.alignment * Self.alignment
        offset = try write(upTo: whole, to: direct, isCancelled: isCancelled)
      }
      try file.seek(to: offset)
      while offset < image.count, !isCancelled() {
        let end = min(offset + Self.chunkBytes, image.count)
        try file.write(UnsafeRawBufferPointer(rebasing: image[offset..<end]))
        checkpoints.progress?(end - offset)
        offset = end
      }
      guard offset == image.count else { throw POSIXError("write", path: path, errno: .canceled) }
      try file.synchronize()
    } catch {
      throw failure(error)
    }
    return hashing.wait()
  }

  /// - Returns: how far it came; less than `whole` where the filesystem does not take such writes.
  private func write(
    upTo whole: Int, to direct: OpenFile, isCancelled: @Sendable () -> Bool
  ) throws(POSIXError) -> Int {
    var offset = 0
    while offset < whole {
      if isCancelled() { throw POSIXError("write", path: direct.path, errno: .canceled) }
      let end = min(offset + Self.chunkBytes, whole)
      do {
        try direct.write(UnsafeRawBufferPointer(rebasing: image[offset..<end]))
      } catch {
        if error.errno == .invalidArgument { return offset }
        throw error
      }
      checkpoints.progress?(end - offset)
      offset = end
    }
    return offset
  }

  private func failure(_ error: POSIXError) -> CheckpointError {
    if error.errno == .canceled {
      return CheckpointError(.cancelled, "cancelled", path: error.path)
    }
    guard error.errno.isNoRoom else {
      return CheckpointError("the checkpoint could not be made durable", error)
    }
    let free =
      (try? FileSystem.availableBytes(checkpoints.directory)).map { "\($0) are free" } ?? "too few are free"
    return CheckpointError(
      "no room for a checkpoint: it needs \(image.count) bytes, \(free)", error,
      hint: "free some space on this filesystem, or keep fewer checkpoints")
  }

  // MARK: Digests

  /// What `sha256sum --check` reads.
  private func digests(_ manifest: Manifest, manifestText: [UInt8]) -> [UInt8] {
    let lines = manifest.files.map { "\($0.sha256)  \($0.name)\n" }
    return Array(
      "\(lines.joined())\(SHA256.hex(manifestText))  \(LocalCheckpoints.manifestName)\n".utf8)
  }
}
