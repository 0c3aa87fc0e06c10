import CTrainerProtocol
import Glibc
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// A slot of the arena: a file on tmpfs that stays mapped and is reused, so that its pages are warm. Invariant:
/// `complete` is 1 only while header and image are consistent; it is cleared before the first byte changes and set
/// after the last.
public final class ArenaSlot {
  public let path: FilePath
  private var file: OpenFile?
  private var mapping: MappedFile?

  public static func path(in directory: FilePath, localRank: UInt32 = 0, slot: UInt32) -> FilePath {
    directory.appending("arena-\(localRank)-\(slot)")
  }

  public init(directory: FilePath, localRank: UInt32 = 0, slot: UInt32) {
    path = Self.path(in: directory, localRank: localRank, slot: slot)
  }

  private static let hint: Hint = "the run directory needs space for two copies of the state; see --run-dir"

  /// Writes an image into the slot; `write` fills exactly `imageBytes` bytes, page-aligned.
  /// - Throws: `noRoom` when tmpfs is full; the slot is unchanged then.
  public func stage(
    _ description: ImageDescription, imageBytes: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(ProtocolError) {
    let mapping = try mapping(for: imageBytes)
    let base = mapping.base
    let complete = (base + Int(HF_SLOT_COMPLETE)).assumingMemoryBound(to: Atomic<UInt32>.self)
    complete.pointee.store(0, ordering: .relaxed)
    // The image must not change before this store is visible.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    write(UnsafeMutableRawBufferPointer(start: base + Int(HF_HEADER_BYTES), count: imageBytes))
    base.put(HF_SLOT_MAGIC, at: 0)
    base.put(HF_PROTOCOL_VERSION, at: 8)
    base.put(HF_HEADER_BYTES, at: 12)
    description.jobID.store(at: base + Int(HF_SLOT_JOB_ID))
    description.cutID.store(at: base + Int(HF_SLOT_CUT_ID))
    base.put(description.attempt, at: HF_SLOT_ATTEMPT)
    base.put(description.generation, at: HF_SLOT_GENERATION)
    base.put(description.globalRank, at: HF_SLOT_GLOBAL_RANK)
    base.put(description.worldSize, at: HF_SLOT_WORLD_SIZE)
    base.put(description.step, at: HF_SLOT_STEP)
    base.put(UInt64(imageBytes), at: HF_SLOT_IMAGE_BYTES)
    let header = UnsafeRawBufferPointer(start: base, count: Int(HF_SLOT_HEADER_CRC))
    base.put(CRC32.checksum(header), at: HF_SLOT_HEADER_CRC)
    complete.pointee.store(1, ordering: .releasing)
  }

  /// The mapping, enlarged if necessary.
  private func mapping(for imageBytes: Int) throws(ProtocolError) -> MappedFile {
    let bytes = Int(HF_HEADER_BYTES) + imageBytes
    do throws(POSIXError) {
      // If the run directory was cleared, the supervisor cannot find the unlinked file.
      if let file, try !file.isStillNamed() {
        self.file = nil
        mapping = nil
      }
      // If the file was truncated, it is allocated again.
      if let file, let mapping, mapping.count >= bytes, try file.size() >= mapping.count { return mapping }
      if file == nil { file = try OpenFile.replacing(path, .readWrite) }
      guard let file else { throw POSIXError("open", path: path, errno: .badFileDescriptor) }
      // With some reserve, as states grow by a few bytes when counters gain digits.
      let size = (bytes + bytes / 64 + 0xffff) & ~0xffff
      try file.allocate(bytes: size)
      mapping = nil
      let mapping = try MappedFile(file, count: size, access: .readWrite, populate: true, faults: .fatal)
      self.mapping = mapping
      return mapping
    } catch {
      throw ProtocolError("the state cannot be staged", error, hint: Self.hint)
    }
  }
}
