import Checkpoints
import Glibc
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// Digest of a staged image, computed after it was staged: `digest-<rank>-<slot>.json`, beside its slot, so that both
/// exist equally long.
struct ImageDigest: Hashable, Sendable, Codable {
  /// Identifies the image; if the slot contains another one, the digest does not apply.
  var cutID: CutID
  var step: UInt64
  var lengthBytes: UInt64
  var digest: Digest

  enum CodingKeys: String, CodingKey {
    case step, lengthBytes, digest, digestAlgorithm, sha256
    case cutID = "cutId"
  }

  init(cutID: CutID, step: UInt64, lengthBytes: UInt64, digest: Digest) {
    self.cutID = cutID
    self.step = step
    self.lengthBytes = lengthBytes
    self.digest = digest
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    cutID = try container.decode(CutID.self, forKey: .cutID)
    step = try container.decode(UInt64.self, forKey: .step)
    lengthBytes = try container.decode(UInt64.self, forKey: .lengthBytes)
    let digest = Digest(
      digest: try container.decodeIfPresent(String.self, forKey: .digest),
      algorithm: try container.decodeIfPresent(String.self, forKey: .digestAlgorithm),
      // By older versions.
      sha256: try container.decodeIfPresent(String.self, forKey: .sha256))
    guard let digest else {
      throw DecodingError.dataCorruptedError(
        forKey: .digest, in: container, debugDescription: "no digest of a known algorithm")
    }
    self.digest = digest
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(cutID, forKey: .cutID)
    try container.encode(step, forKey: .step)
    try container.encode(lengthBytes, forKey: .lengthBytes)
    try container.encode(digest.hexadecimal, forKey: .digest)
    try container.encode(digest.algorithm.rawValue, forKey: .digestAlgorithm)
  }

  static func path(in directory: FilePath, slot: UInt32) -> FilePath {
    directory.appending("digest-0-\(slot).json")
  }

  /// - Returns: nil if there is none.
  /// - Throws: if there is one that cannot be read. It was renamed into place when complete, so it was damaged since.
  static func read(in directory: FilePath, slot: UInt32) throws(Unreadable) -> ImageDigest? {
    let path = path(in: directory, slot: slot)
    guard FileKind.of(path) != nil else { return nil }
    guard let file = try? OpenFile(path, .readOnly), let size = try? file.size(), size < 1 << 16,
      let bytes = try? FileSystem.read(path), let digest: ImageDigest = JSON.decode(bytes)
    else { throw Unreadable(path: path) }
    return digest
  }

  struct Unreadable: Error {
    var path: FilePath
  }

  func write(in directory: FilePath, slot: UInt32) throws(POSIXError) {
    try FileSystem.replace(
      Self.path(in: directory, slot: slot), with: JSON.encode(self), durable: false, clearing: true)
  }

  /// The digest of a part of a file. Uses read(2), since a mapping raises SIGBUS if the file is truncated.
  /// - Parameter progress: called with the size of each chunk; returns whether to continue.
  /// - Returns: nil if the file is too short, cannot be read, or `progress` returned false.
  static func digest(
    _ path: FilePath, offsetBytes: Int, lengthBytes: Int, _ algorithm: Digest.Algorithm = .current,
    progress: (Int) -> Bool = { _ in true }
  ) -> Digest? {
    guard let file = try? OpenFile(path, .readOnly) else { return nil }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    let digest = DigestComputation(algorithm)
    var done = 0
    while done < lengthBytes {
      let wanted = min(chunk.count, lengthBytes - done)
      let count = pread(file.descriptor, chunk.baseAddress, wanted, off_t(offsetBytes + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      digest.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
      done += count
      guard progress(count) else { return nil }
    }
    return digest.finish()
  }
}
