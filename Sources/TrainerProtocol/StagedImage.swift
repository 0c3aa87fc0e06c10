import CTrainerProtocol
import Glibc
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// The mapped, complete image of a slot.
public struct StagedImage: @unchecked Sendable {
  public let description: ImageDescription
  public let path: FilePath
  /// The bytes of a `state.safetensors`, page-aligned.
  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping.bytes[Int(HF_HEADER_BYTES)..<Int(HF_HEADER_BYTES) + count])
  }

  /// The offset of the image in the file.
  public static let offsetBytes = Int(HF_HEADER_BYTES)

  private let mapping: MappedFile
  private let count: Int

  /// Whether the file is marked as complete, valid or not.
  public static func isMarkedComplete(_ path: FilePath) -> Bool {
    guard let file = try? OpenFile(path, .readOnly) else { return false }
    var word: UInt32 = 0
    let count = pread(file.descriptor, &word, 4, off_t(HF_SLOT_COMPLETE))
    return count == 4 && UInt32(littleEndian: word) == 1
  }

  /// Whether the file covered all of the image so far. If not, data that was read must be discarded.
  public var isIntact: Bool { mapping.isIntact }

  /// - Returns: nil when the slot has no complete image: missing, partially written, or not a slot.
  public static func read(_ path: FilePath) -> StagedImage? {
    guard let file = try? OpenFile(path, .readOnly), let size = try? file.size(),
      size >= Int(HF_HEADER_BYTES), let mapping = try? MappedFile(file, count: size, access: .readOnly)
    else { return nil }
    let image = read(path, mapping)
    return mapping.isIntact ? image : nil
  }

  private static func read(_ path: FilePath, _ mapping: MappedFile) -> StagedImage? {
    let size = mapping.count
    let complete = (mapping.base + Int(HF_SLOT_COMPLETE)).assumingMemoryBound(to: Atomic<UInt32>.self)
    guard complete.pointee.load(ordering: .acquiring) == 1 else { return nil }
    // A copy, so that the checked values are the ones used.
    return Array(mapping.bytes[..<Int(HF_SLOT_BYTES)]).withUnsafeBytes { header in
      guard let base = header.baseAddress, header.u64(0) == HF_SLOT_MAGIC,
        header.u32(8) == HF_PROTOCOL_VERSION, header.u32(12) == HF_HEADER_BYTES,
        CRC32.checksum(UnsafeRawBufferPointer(rebasing: header[..<Int(HF_SLOT_HEADER_CRC)]))
          == header.u32(HF_SLOT_HEADER_CRC),
        header.u64(HF_SLOT_IMAGE_BYTES) <= UInt64(size - Int(HF_HEADER_BYTES))
      else { return nil }
      let description = ImageDescription(
        jobID: JobID(at: base + Int(HF_SLOT_JOB_ID)), cutID: CutID(at: base + Int(HF_SLOT_CUT_ID)),
        attempt: header.u64(HF_SLOT_ATTEMPT), generation: header.u64(HF_SLOT_GENERATION),
        globalRank: header.u32(HF_SLOT_GLOBAL_RANK), worldSize: header.u32(HF_SLOT_WORLD_SIZE),
        step: header.u64(HF_SLOT_STEP), completedEpochs: header.u32(HF_SLOT_COMPLETED_EPOCHS))
      return StagedImage(
        description: description, path: path, mapping: mapping, count: Int(header.u64(HF_SLOT_IMAGE_BYTES)))
    }
  }
}
