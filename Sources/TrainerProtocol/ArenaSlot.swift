import CTrainerProtocol
import Glibc
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// A slot of the arena: a file on tmpfs that stays mapped and is reused, so that its pages are warm. If it finds no room
/// there, it is a file on disk, which the kernel keeps in memory too and writes back. Invariant:
/// `complete` is 1 only while header and image are consistent; it is cleared before the first byte changes and set
/// after the last. One thread uses it, except for `mapAhead`.
public final class ArenaSlot: @unchecked Sendable {
  /// In memory.
  private let path: FilePath
  /// nil: it is always in memory.
  private let diskPath: FilePath?
  private var isOnDisk = false
  private var file: OpenFile?
  private var mapping: MappedFile?
  /// Mapped by another thread.
  private let ahead = Mutex<Ahead?>(nil)
  /// How long the last copy waited until the slot was allocated and mapped.
  public private(set) var preparationNanoseconds: UInt64 = 0

  private struct Ahead: Sendable {
    var file: OpenFile
    var mapping: MappedFile
  }

  public static func path(in directory: FilePath, localRank: UInt32 = 0, slot: UInt32) -> FilePath {
    directory.appending("arena-\(localRank)-\(slot)")
  }

  public init(_ place: ArenaPlace, localRank: UInt32 = 0, slot: UInt32) {
    path = Self.path(in: place.directory, localRank: localRank, slot: slot)
    diskPath = place.disk.map { Self.path(in: $0, localRank: localRank, slot: slot) }
  }

  /// A slot that is always in `directory`.
  public convenience init(directory: FilePath, localRank: UInt32 = 0, slot: UInt32) {
    self.init(ArenaPlace(directory, disk: nil), localRank: localRank, slot: slot)
  }

  private static let hint: Hint = "the run directory needs space for two copies of the state; see --run-dir"

  /// Writes an image into the slot; `write` fills exactly `imageBytes` bytes, page-aligned.
  /// - Throws: `noRoom` when both places are full; the slot is unchanged then.
  public func stage(
    _ description: ImageDescription, imageBytes: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) throws(ProtocolError) {
    let began = Clock.monotonicNanoseconds
    let mapping = try mapping(for: imageBytes)
    preparationNanoseconds = Clock.monotonicNanoseconds - began
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
    base.put(description.completedEpochs, at: HF_SLOT_COMPLETED_EPOCHS)
    let header = UnsafeRawBufferPointer(start: base, count: Int(HF_SLOT_HEADER_CRC))
    base.put(CRC32.checksum(header), at: HF_SLOT_HEADER_CRC)
    complete.pointee.store(1, ordering: .releasing)
    // What the other place has is older. Without it nothing is lost, so a failure does not matter.
    if let older = isOnDisk ? path : diskPath, FileKind.of(older) != nil { try? FileSystem.remove(older) }
  }

  /// Size of the file for an image. With some reserve, as states grow by a few bytes when counters gain digits.
  public static func fileBytes(imageBytes: Int) -> Int {
    let bytes = Int(HF_HEADER_BYTES) + imageBytes
    return (bytes + bytes / 64 + 0xffff) & ~0xffff
  }

  /// Whether an image of this size fits into the mapping.
  public func isMapped(imageBytes: Int) -> Bool {
    mapping.map { $0.count - Int(HF_HEADER_BYTES) >= imageBytes } ?? false
  }

  /// Maps the slot, if its pages were allocated and touched, ahead of the first copy of this size: creating the
  /// entries of the page table takes as long as copying. Runs on another thread than `stage`, and never creates or
  /// changes the file.
  public func mapAhead() {
    guard let file = try? OpenFile(path, .readWrite), let size = try? file.size(),
      size > Int(HF_HEADER_BYTES),
      (try? file.isAllocated(bytes: size)) == true,
      let mapping = try? MappedFile(file, count: size, access: .readWrite, faults: .fatal), mapping.populate()
    else { return }
    ahead.withLock { $0 = Ahead(file: file, mapping: mapping) }
  }

  /// The mapping, enlarged if necessary.
  private func mapping(for imageBytes: Int) throws(ProtocolError) -> MappedFile {
    do throws(POSIXError) {
      if isOnDisk, let diskPath { return try mapping(of: diskPath, imageBytes) }
      do throws(POSIXError) {
        return try mapping(of: path, imageBytes)
      } catch {
        guard error.errno.isNoRoom || error.errno == .noMemory, let diskPath,
          Self.makeDirectory(of: diskPath)
        else { throw error }
        return try mapping(onDisk: diskPath, imageBytes)
      }
    } catch {
      throw ProtocolError("the state cannot be staged", error, hint: Self.hint)
    }
  }

  /// Changes the place for the rest of this attempt: memory that is scarce would be taken and given back again and
  /// again. If the disk is full too, the next image is tried in memory first.
  private func mapping(onDisk path: FilePath, _ imageBytes: Int) throws(POSIXError) -> MappedFile {
    isOnDisk = true
    (file, mapping) = (nil, nil)
    do throws(POSIXError) {
      return try mapping(of: path, imageBytes)
    } catch {
      isOnDisk = false
      (file, mapping) = (nil, nil)
      throw error
    }
  }

  /// Not the directory above it: that of the job may have been moved away.
  private static func makeDirectory(of path: FilePath) -> Bool {
    let directory = path.removingLastComponent()
    return directory.withPlatformString { mkdir($0, 0o700) == 0 || errno == EEXIST }
  }

  private func mapping(of path: FilePath, _ imageBytes: Int) throws(POSIXError) -> MappedFile {
    let bytes = Int(HF_HEADER_BYTES) + imageBytes
    if let ahead = ahead.withLock({ $0.take() }), !isOnDisk,
      (mapping?.count ?? 0) < ahead.mapping.count
    {
      (file, mapping) = (ahead.file, ahead.mapping)
    }
    // If the run directory was cleared, the supervisor cannot find the unlinked file.
    if let file, try !file.isStillNamed() {
      self.file = nil
      mapping = nil
    }
    // If the file was truncated, it is allocated again.
    if let file, let mapping, mapping.count >= bytes, try file.size() >= mapping.count { return mapping }
    if file == nil { file = try OpenFile.replacing(path, .readWrite) }
    guard let file else { throw POSIXError("open", path: path, errno: .badFileDescriptor) }
    let size = Self.fileBytes(imageBytes: imageBytes)
    // The supervisor may have allocated it ahead of time; going through all pages again takes half as long as a copy.
    if try !file.isAllocated(bytes: size) {
      let missing = try file.unallocatedBytes(of: size)
      // The filesystem may have more room than there is memory.
      guard isOnDisk || diskPath == nil || MemoryHeadroom.suffices(for: missing) else {
        throw POSIXError("posix_fallocate", path: path, errno: .noMemory)
      }
      try file.allocate(bytes: size)
    }
    mapping = nil
    let mapping = try MappedFile(file, count: size, access: .readWrite, populate: true, faults: .fatal)
    self.mapping = mapping
    return mapping
  }
}
