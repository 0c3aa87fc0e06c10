import Glibc
import POSIX
import Synchronization
import SystemPackage

extension LocalCheckpoints {
  /// Makes an image a durable checkpoint: written aside, fsynced, renamed, its parent fsynced.
  /// - Parameters:
  ///   - image: page-aligned where it can be, so that it goes to the disk without a copy.
  ///   - isCancelled: asked between chunks.
  public func publish(
    image: UnsafeRawBufferPointer, _ manifest: Manifest, isCancelled: @Sendable () -> Bool = { false }
  ) throws(CheckpointError) -> PublishedCheckpoint {
    let aside = directory.appending(Self.publishingPrefix + manifest.cutID)
    do throws(POSIXError) {
      if !FileSystem.isDirectory(directory) {
        try FileSystem.makeDirectories(directory, mode: 0o750)
        try FileSystem.synchronizeDirectory(directory.removingLastComponent())
      }
      if FileSystem.exists(aside) { try FileSystem.removeTree(aside) }
      try FileSystem.makeDirectories(aside, mode: 0o750)
    } catch {
      throw CheckpointError(error, what: "no checkpoint can be made here")
    }
    do throws(CheckpointError) {
      return try publish(image, manifest, aside: aside, isCancelled: isCancelled)
    } catch {
      // The aside directory is in nobody's list; what cannot be removed now is a leftover.
      try? FileSystem.removeTree(aside)
      throw error
    }
  }

  private func publish(
    _ image: UnsafeRawBufferPointer, _ draft: Manifest, aside: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> PublishedCheckpoint {
    let state = aside.appending(Self.stateName)
    let digest = try writeImage(image, to: state, isCancelled: isCancelled)
    var manifest = draft
    manifest.files = [.init(name: Self.stateName, bytes: UInt64(image.count), sha256: digest)]
    manifest.ranks = [.init(rank: 0, files: [Self.stateName])]
    let text = manifest.encoded()
    let sums = Self.digests(manifest, manifestText: text)
    let name = freeName(manifest)
    do throws(POSIXError) {
      try write(text, to: aside.appending(Self.manifestName))
      try write(sums, to: aside.appending(Self.digestsName))
      try FileSystem.synchronizeDirectory(aside)
      try FileSystem.rename(aside, to: path(of: name))
      try FileSystem.synchronizeDirectory(directory)
    } catch {
      throw failure(error, bytes: image.count)
    }
    return PublishedCheckpoint(
      name: name, manifest: manifest, bytes: UInt64(image.count + text.count + sums.count), sha256: digest)
  }

  /// `step-48700`; with the beginning of the cut's id where a checkpoint of this step is there.
  private func freeName(_ manifest: Manifest) -> String {
    let name = "step-\(manifest.step)"
    return FileSystem.exists(path(of: name)) ? "\(name)-\(manifest.cutID.prefix(8))" : name
  }

  private func write(_ bytes: [UInt8], to path: FilePath) throws(POSIXError) {
    let file = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
    try file.write(all: bytes)
    try file.synchronize()
  }

  // MARK: The image

  private static let chunkBytes = 8 << 20
  private static let alignment = 4096

  /// Writes the image past the page cache and makes its digest on another thread meanwhile.
  private func writeImage(
    _ image: UnsafeRawBufferPointer, to path: FilePath, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> String {
    let hashing = BackgroundDigest(image)
    // The thread reads the image until it says so.
    defer { hashing.cancelAndWait() }
    do throws(POSIXError) {
      let file = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o640)
      if image.count > 0 { try file.allocate(bytes: image.count) }
      let isAligned = UInt(bitPattern: image.baseAddress) % UInt(Self.alignment) == 0
      var offset = 0
      if isAligned, image.count >= Self.alignment,
        let direct = try? OpenFile(path, O_WRONLY | OpenFile.direct)
      {
        let whole = image.count / Self.alignment * Self.alignment
        offset = try write(image, upTo: whole, to: direct, isCancelled: isCancelled)
      }
      try file.seek(to: offset)
      while offset < image.count, !isCancelled() {
        let end = min(offset + Self.chunkBytes, image.count)
        try file.write(UnsafeRawBufferPointer(rebasing: image[offset..<end]))
        offset = end
      }
      guard offset == image.count else { throw POSIXError("write", path: path, errno: .canceled) }
      try file.synchronize()
    } catch {
      throw failure(error, bytes: image.count)
    }
    return hashing.wait()
  }

  /// - Returns: how far it came; less than `whole` where the filesystem does not take such writes.
  private func write(
    _ image: UnsafeRawBufferPointer, upTo whole: Int, to direct: OpenFile, isCancelled: @Sendable () -> Bool
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
      offset = end
    }
    return offset
  }

  private func failure(_ error: POSIXError, bytes: Int) -> CheckpointError {
    if error.errno == .canceled {
      return CheckpointError(.cancelled, operation: "publish", path: error.path, what: "cancelled")
    }
    guard error.errno == .noSpace || error.errno == .diskQuotaExceeded else {
      return CheckpointError(error, what: "the checkpoint could not be made durable")
    }
    let free = (try? FileSystem.availableBytes(directory)) ?? 0
    return CheckpointError(error, what: "no room for a checkpoint: it needs \(bytes) bytes, \(free) are free")
  }
}

/// A digest that is made while something else goes on.
private final class BackgroundDigest: Sendable {
  private let done = Gate()
  private let isCancelled = Atomic(false)
  private let result = Mutex<String?>(nil)

  init(_ bytes: UnsafeRawBufferPointer) {
    // Whoever makes this waits for its end before the bytes go.
    nonisolated(unsafe) let bytes = bytes
    let work: @Sendable () -> Void = { [self] in
      let digest = SHA256()
      var offset = 0
      while offset < bytes.count, !isCancelled.load(ordering: .relaxed) {
        let end = min(offset + (4 << 20), bytes.count)
        digest.update(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
        offset = end
      }
      let text = digest.finish()
      result.withLock { $0 = text }
      done.open()
    }
    // Without another thread it is made on this one.
    if (try? NativeThread.start(work)) == nil { work() }
  }

  func wait() -> String {
    if let text = result.withLock({ $0 }) { return text }
    done.wait()
    done.open()
    return result.withLock { $0 ?? "" }
  }

  func cancelAndWait() {
    isCancelled.store(true, ordering: .relaxed)
    _ = wait()
  }
}
