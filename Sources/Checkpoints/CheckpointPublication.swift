import Glibc
import POSIX
import Reporting
import SystemPackage

/// Publishes an image as a durable checkpoint: writes it to a temporary directory, fsyncs, renames, fsyncs
/// the parent. If it already exists, as the supervisor died before it recorded it, it is not written again.
struct CheckpointPublication {
  let checkpoints: LocalCheckpoints
  /// Page-aligned if possible, for direct I/O.
  let image: UnsafeRawBufferPointer
  /// nil: the whole image is published.
  var weights: WeightsImage?
  /// Without files and ranks, which are added here.
  let draft: Manifest
  /// nil: `step-` and the step.
  let name: String?

  private var imageBytes: Int { weights?.byteCount ?? image.count }

  func run(
    isIntact: @Sendable () -> Bool, isCancelled: @Sendable () -> Bool, expected: @Sendable () -> Digest?
  ) throws(CheckpointError) -> PublishedCheckpoint {
    guard LocalCheckpoints.isValid(draft.cutID) else {
      throw CheckpointError(.unsupported, "invalid cut id '\(draft.cutID)'")
    }
    var loop = try ImageReader.loop(image)
    if weights != nil { loop.parts = [] }
    if let published = try published() { return published }
    let aside = checkpoints.directory.appending(LocalCheckpoints.publishingPrefix + draft.cutID)
    do throws(POSIXError) {
      try prepare(aside)
    } catch {
      throw failure(error)
    }
    do throws(CheckpointError) {
      return try publish(loop, aside: aside, isIntact: isIntact, expected: expected, isCancelled: isCancelled)
    } catch {
      // If it cannot be removed now, `removeLeftovers` will.
      try? FileSystem.removeTree(aside)
      throw error
    }
  }

  private func prepare(_ aside: FilePath) throws(POSIXError) {
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
    if LocalCheckpoints.pathExists(aside) { try FileSystem.removeTree(aside) }
    // Checked before anything is allocated, as trying would use up the disk's last blocks.
    guard imageBytes <= (try FileSystem.availableBytes(checkpoints.directory)) else {
      throw POSIXError("publish", path: checkpoints.directory, errno: .noSpace)
    }
    try posix("mkdir", aside) { aside.withPlatformString { mkdir($0, 0o750) } }
  }

  private func publish(
    _ loop: ImageLoop, aside: FilePath, isIntact: @Sendable () -> Bool, expected: @Sendable () -> Digest?,
    isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> PublishedCheckpoint {
    let state = aside.appending(LocalCheckpoints.stateName)
    let digest =
      if let weights { try write(weights, to: state, isCancelled: isCancelled) } else {
        try writeImage(to: state, isCancelled: isCancelled)
      }
    guard isIntact() else {
      throw CheckpointError(.damaged, "the image was truncated while it was read")
    }
    if let expected = expected() {
      // A digest of an older version's supervisor has another algorithm.
      let found = expected.algorithm == digest.algorithm ? digest : Digest(of: image, expected.algorithm)
      guard found == expected else { throw .damaged(found.mismatch(expected)) }
    }
    var manifest = draft
    manifest.files = [.init(name: LocalCheckpoints.stateName, bytes: UInt64(imageBytes), digest: digest)]
    manifest.ranks = [.init(rank: 0, files: [LocalCheckpoints.stateName], loopState: loop)]
    let text = try manifest.encoded()
    let sums = digests(manifest, manifestText: text)
    let name = freeName
    do throws(POSIXError) {
      try write(text, to: aside.appending(LocalCheckpoints.manifestName))
      try write(sums, to: aside.appending(LocalCheckpoints.digestsName))
      try FileSystem.synchronizeDirectory(aside)
      _ = try checkpoints.directoryExists()
      try FileSystem.rename(aside, to: checkpoints.path(of: name))
      do throws(POSIXError) {
        try FileSystem.synchronizeDirectory(checkpoints.directory)
      } catch {
        // It is complete but may not be durable, so it must not be listed. If this fails too, it remains
        // listed.
        try? FileSystem.rename(checkpoints.path(of: name), to: aside)
        throw error
      }
    } catch {
      throw failure(error)
    }
    return PublishedCheckpoint(
      name: name, manifest: manifest, bytes: UInt64(imageBytes + text.count + sums.count), digest: digest)
  }

  // MARK: Names

  /// `step-48700`; if that exists, with the first digits of the cut's id, or all of them. A name that was given:
  /// with the suffix `-v1`, `-v2` …, as many as exist and one more.
  private var possibleNames: [String] {
    guard let name else {
      let name = "step-\(draft.step)" + (weights == nil ? "" : "-weights")
      return [name, "\(name)-\(draft.cutID.prefix(8))", "\(name)-\(draft.cutID)"]
    }
    var names = [name]
    while exists(names[names.count - 1]) { names.append("\(name)-v\(names.count)") }
    return names
  }

  private func exists(_ name: String) -> Bool { LocalCheckpoints.pathExists(checkpoints.path(of: name)) }

  private var freeName: String {
    let names = possibleNames
    // If all exist, renaming to the last one fails: no checkpoint is ever replaced.
    return names.first { !exists($0) } ?? names[names.count - 1]
  }

  /// The checkpoint of this cut if it was already published and is intact.
  private func published() throws(CheckpointError) -> PublishedCheckpoint? {
    for name in possibleNames where exists(name) {
      guard let manifest = checkpoints.verify(name, thorough: false).manifest, manifest.cutID == draft.cutID,
        manifest.jobID == draft.jobID, checkpoints.verify(name, thorough: true).manifest == manifest,
        let file = manifest.files.first, let digest = file.digest, file.bytes == UInt64(imageBytes)
      else { continue }
      do {
        // Its rename may not have become durable.
        try FileSystem.synchronizeDirectory(checkpoints.directory)
      } catch {
        throw CheckpointError("the checkpoint could not be made durable", error)
      }
      let text = try manifest.encoded()
      let bytes = imageBytes + text.count + digests(manifest, manifestText: text).count
      return PublishedCheckpoint(name: name, manifest: manifest, bytes: UInt64(bytes), digest: digest)
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

  /// Writes the image with direct I/O, and computes its digest on another thread meanwhile.
  private func writeImage(
    to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> Digest {
    let hashing = BackgroundDigest(image)
    // The thread reads the image until then.
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

  /// Writes weights with direct I/O as far as possible.
  private func write(
    _ weights: WeightsImage, to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> Digest {
    let digest = DigestComputation()
    do throws(POSIXError) {
      let file = try OpenFile(path, .writeOnly, create: .always(mode: 0o640))
      try file.allocate(bytes: weights.byteCount)
      var direct = try? OpenFile(path, .writeDirectly)
      var offset = 0
      try weights.chunks(of: image, Self.chunkBytes) { chunk throws(POSIXError) in
        if isCancelled() { throw POSIXError("write", path: path, errno: .canceled) }
        digest.update(chunk)
        defer {
          offset += chunk.count
          checkpoints.progress?(chunk.count)
        }
        if let whole = direct, chunk.count == Self.chunkBytes {
          do throws(POSIXError) { return try whole.write(chunk) } catch {
            guard error.errno == .invalidArgument else { throw error }
            direct = nil
          }
        }
        try file.seek(to: offset)
        try file.write(chunk)
      }
      try file.synchronize()
    } catch {
      throw failure(error)
    }
    return digest.finish()
  }

  /// - Returns: bytes written; less than `whole` if the filesystem does not support direct I/O.
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
    let directory = checkpoints.directory
    if error.errno == .diskQuotaExceeded {
      return CheckpointError(
        "a disk quota has no room for a checkpoint: it needs \(imageBytes) bytes", error,
        hint: "quota -s  free some space within the quota, or keep fewer checkpoints")
    }
    if error.errno == .noSpace, (try? FileSystem.availableInodes(directory)) == 0 {
      return CheckpointError(
        "no inode is free for a checkpoint", error,
        hint: "df -i \(directory)  remove files from this filesystem")
    }
    let free = (try? FileSystem.availableBytes(directory)).map { "\($0) are free" } ?? "too few are free"
    return CheckpointError(
      "no space for a checkpoint: it needs \(imageBytes) bytes, \(free)", error,
      hint: "free some space on this filesystem, or keep fewer checkpoints")
  }

  // MARK: Digests

  /// The input of `xxh128sum --check`.
  private func digests(_ manifest: Manifest, manifestText: [UInt8]) -> [UInt8] {
    let lines = manifest.files.map { "\($0.digest?.hexadecimal ?? "")  \($0.name)\n" }
    let own = Digest(of: manifestText).hexadecimal
    return Array("\(lines.joined())\(own)  \(LocalCheckpoints.manifestName)\n".utf8)
  }
}
