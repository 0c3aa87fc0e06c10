import Checkpoints
import Glibc
import POSIX
import S3Server
import Storage
import SystemPackage
import TestSupport
import TrainerProtocol

/// A temporary directory with published checkpoints.
final class Place {
  let root: FilePath

  init(below parent: String = "/tmp") throws {
    var template = Array("\(parent)/holdfast-storage-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else { throw Errno(rawValue: errno) }
    root = FilePath(platformString: path)
  }

  deinit { try? FileSystem.removeTree(root) }

  var source: LocalCheckpoints { LocalCheckpoints(directory: root.appending("checkpoints")) }
  func path(_ name: String) -> FilePath { root.appending(name) }

  /// Publishes a checkpoint with random tensors.
  /// - Returns: its directory.
  @discardableResult
  func publish(step: UInt64, floats: Int = 1000) throws -> FilePath {
    var generator = Generator(seed: step)
    let values = (0..<floats).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) }
    let writer = ImageWriter(
      [("model", .object(["weights": .tensor(Tensor(values))]))],
      loop: ImageLoop(step: step, epoch: 1, batch: 2, samples: 3, parts: []))
    let image = UnsafeMutableRawBufferPointer.allocate(byteCount: writer.imageBytes, alignment: 4096)
    defer { image.deallocate() }
    writer.write(into: image)
    let cut = String(repeating: "c", count: 24) + String(10_000_000 + step)
    let published = try source.publish(
      image: UnsafeRawBufferPointer(image),
      Manifest(
        job: "job", jobID: String(repeating: "1", count: 32), attempt: 1, generation: 1, cutID: cut,
        step: step,
        epoch: 1, batch: 2, samples: 3, createdAt: "2026-01-01T00:00:00.000Z", metrics: ["loss": 0.5]))
    return source.path(of: published.name)
  }
}

/// Contents by file name.
func contents(_ directory: FilePath) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for name in try FileSystem.list(directory) { files[name] = try FileSystem.read(directory.appending(name)) }
  return files
}

func flip(_ path: FilePath, at offset: Int) throws {
  var bytes = try FileSystem.read(path)
  bytes[offset] ^= 4
  try FileSystem.replace(path, with: bytes, durable: false)
}

func key(_ text: String) -> StorageKey {
  guard let key = StorageKey(text) else { preconditionFailure("invalid key \(text)") }
  return key
}

let never: Transfer.Cancellation = { false }

/// Whether all processes of a group end. A killed process takes a moment to exit.
func ends(_ group: pid_t) -> Bool {
  for _ in 0..<3000 where !Processes.running(inGroup: group).isEmpty { usleep(10_000) }
  return Processes.running(inGroup: group).isEmpty
}
