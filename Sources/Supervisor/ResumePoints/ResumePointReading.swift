import Checkpoints
import JobStore
import POSIX
import Synchronization
import SystemPackage
import TrainerProtocol

/// Reads a resume point in full, on a separate thread, while the trainer that will load it starts.
final class ResumePointReading: Sendable {
  let source: ResumeCandidates.Source
  let totalBytes: UInt64
  private let done = Atomic<UInt64>(0)
  private let candidates: ResumeCandidates
  private let store: JobStore

  var readBytes: UInt64 { done.load(ordering: .relaxed) }

  init(
    _ source: ResumeCandidates.Source, lengthBytes: UInt64, _ candidates: ResumeCandidates,
    _ store: JobStore
  ) {
    self.source = source
    totalBytes = lengthBytes
    self.candidates = candidates
    self.store = store
  }

  /// - Parameter completion: called on that thread with the fault; nil: all bytes are as written.
  func start(_ completion: @escaping @Sendable (String?) -> Void) throws(POSIXError) {
    try NativeThread.start { [self] in completion(fault()) }
  }

  private func fault() -> String? {
    switch source {
    case .staged(let slot, let description, let path, let lengthBytes):
      return fault(slot, description, path, lengthBytes)
    case .durable(let record):
      let reading = LocalCheckpoints(directory: candidates.checkpoints.directory) { [self] bytes in
        done.wrappingAdd(UInt64(bytes), ordering: .relaxed)
      }
      return reading.verify(record.name, thorough: true).fault
    case .snapshot(let step):
      return snapshotFault(step)
    }
  }

  private func fault(_ slot: UInt32, _ description: ImageDescription, _ path: FilePath, _ lengthBytes: UInt64)
    -> String?
  {
    guard let expected = candidates.digests.digest(slot, of: description.cutID) else { return nil }
    let found = ImageDigest.digest(
      path, offsetBytes: StagedImage.offsetBytes, lengthBytes: Int(lengthBytes), expected.digest.algorithm
    ) { bytes in
      done.wrappingAdd(UInt64(bytes), ordering: .relaxed)
      return true
    }
    // A trainer that does not wait may have staged into this slot meanwhile. Then the read image no longer matters.
    if let now = candidates.image(slot), now.description.cutID != description.cutID { return nil }
    guard let found else { return "cannot read \(path) to its end" }
    return found == expected.digest ? nil : found.mismatch(expected.digest)
  }

  /// Compares the file that the trainer loads with the store, which has its own digest.
  private func snapshotFault(_ step: UInt64) -> String? {
    guard let (found, image) = try? store.fullSnapshot(), found == step else {
      // A trainer that does not wait has recorded a newer snapshot.
      return nil
    }
    let path = candidates.snapshotPath
    let expected = Digest(of: image)
    let read = ImageDigest.digest(path, offsetBytes: 0, lengthBytes: image.count) { bytes in
      done.wrappingAdd(UInt64(bytes), ordering: .relaxed)
      return true
    }
    return read == expected ? nil : "\(path) differs from what was written"
  }
}
