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
    let directory = PublishingDirectory(checkpoints, cutID: draft.cutID)
    do throws(POSIXError) {
      try directory.prepare(bytes: imageBytes)
    } catch {
      throw directory.failure(error, bytes: imageBytes)
    }
    do throws(CheckpointError) {
      return try publish(
        loop, in: directory, isIntact: isIntact, expected: expected, isCancelled: isCancelled)
    } catch {
      directory.discard()
      throw error
    }
  }

  private func publish(
    _ loop: ImageLoop, in directory: PublishingDirectory, isIntact: @Sendable () -> Bool,
    expected: @Sendable () -> Digest?, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> PublishedCheckpoint {
    let state = directory.path.appending(LocalCheckpoints.stateName)
    let digest: Digest
    do throws(POSIXError) {
      digest =
        if let weights { try write(weights, to: state, isCancelled: isCancelled) } else {
          try writeImage(to: state, isCancelled: isCancelled)
        }
    } catch {
      throw directory.failure(error, bytes: imageBytes)
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
    let name = freeName
    let added = try directory.finish(manifest, as: name, bytes: imageBytes)
    return PublishedCheckpoint(
      name: name, manifest: manifest, bytes: UInt64(imageBytes + added), digest: digest)
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
      let bytes = imageBytes + text.count + PublishingDirectory.digests(manifest, manifestText: text).count
      return PublishedCheckpoint(name: name, manifest: manifest, bytes: UInt64(bytes), digest: digest)
    }
    return nil
  }

  // MARK: The image

  private static let chunkBytes = 8 << 20
  private static let alignment = 4096

  /// Writes the image with direct I/O, and computes its digest on another thread meanwhile.
  private func writeImage(
    to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(POSIXError) -> Digest {
    let hashing = BackgroundDigest(image)
    // The thread reads the image until then.
    defer { hashing.cancelAndWait() }
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
    return hashing.wait()
  }

  /// Writes weights with direct I/O as far as possible.
  private func write(
    _ weights: WeightsImage, to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(POSIXError) -> Digest {
    let digest = DigestComputation()
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
}
