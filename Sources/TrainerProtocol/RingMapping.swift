import CTrainerProtocol
import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage

/// The mapped ring, for both sides. Its identity was checked; nothing else is trusted.
struct RingMapping {
  let file: OpenFile
  let mapping: MappedFile
  let identity: RingIdentity
  let capacity: UInt64

  static let largestCapacity: UInt64 = 1 << 32

  var data: UnsafeMutableRawPointer { mapping.base + Int(HF_HEADER_BYTES) }

  static func name(localRank: UInt32) -> String { "ring-\(localRank)" }

  /// Opens and checks a ring.
  /// - Parameter lock: whether to acquire the trainer's lock.
  init(_ path: FilePath, lock: Bool, populate: Bool) throws(ProtocolError) {
    let hint: Hint = "start the trainer with 'holdfast run'"
    let what = "the ring cannot be opened"
    do {
      file = try OpenFile(path, .readWrite)
    } catch {
      throw ProtocolError(what, error, hint: hint)
    }
    func damaged(_ why: String) -> ProtocolError {
      ProtocolError(.damaged, "the ring's header is damaged", path: path, why: why, hint: hint)
    }
    let size: Int
    let header: [UInt8]
    do {
      if lock, try !file.tryLock() {
        throw ProtocolError(
          .locked, "another trainer of this job is attached", path: path,
          hint: "attach in one process only")
      }
      size = try file.size()
      guard size > Int(HF_HEADER_BYTES) else { throw damaged("too short") }
      // A copy, so that the checked values are the ones used.
      header = try file.read(atMost: Int(HF_HEADER_BYTES))
      guard header.count == Int(HF_HEADER_BYTES) else { throw damaged("too short") }
    } catch let error as POSIXError {
      throw ProtocolError(what, error, hint: hint)
    } catch {
      throw error as? ProtocolError ?? damaged("\(error)")
    }
    let parsed = header.withUnsafeBytes { bytes in
      Result { () throws(ProtocolError) in try Self.parse(bytes, path, damaged) }
    }
    let (identity, capacity) = try parsed.get()
    // Before mapping, as the file may have any size.
    guard size == Int(capacity) + Int(HF_HEADER_BYTES) else { throw damaged("size") }
    self.identity = identity
    self.capacity = capacity
    do {
      mapping = try MappedFile(
        file, count: size, access: .readWrite, populate: populate, faults: lock ? .fatal : .survived)
    } catch {
      throw ProtocolError(what, error, hint: hint)
    }
  }

  private static func parse(
    _ header: UnsafeRawBufferPointer, _ path: FilePath, _ damaged: (String) -> ProtocolError
  ) throws(ProtocolError) -> (RingIdentity, capacity: UInt64) {
    guard let base = header.baseAddress, header.u64(HF_RING_MAGIC_AT) == HF_RING_MAGIC else {
      throw damaged("magic")
    }
    let version = header.u32(HF_RING_VERSION)
    guard version <= HF_PROTOCOL_VERSION else {
      throw ProtocolError(
        .newerVersion, "the ring has a newer version", path: path,
        why: "version \(version); this library reads up to \(HF_PROTOCOL_VERSION)",
        hint: "use the same version of holdfast for supervisor and trainer")
    }
    let crc = CRC32.checksum(UnsafeRawBufferPointer(rebasing: header[..<Int(HF_RING_IDENTITY_CRC)]))
    guard crc == header.u32(HF_RING_IDENTITY_CRC) else { throw damaged("checksum") }
    guard header.u32(HF_RING_HEADER_BYTES) == HF_HEADER_BYTES else { throw damaged("header size") }
    let capacity = header.u64(HF_RING_CAPACITY)
    guard capacity >= 4096, capacity <= largestCapacity, capacity.nonzeroBitCount == 1 else {
      throw damaged("capacity")
    }
    let place = RankPlace(
      globalRank: header.u32(HF_RING_GLOBAL_RANK), localRank: header.u32(HF_RING_LOCAL_RANK),
      worldSize: header.u32(HF_RING_WORLD_SIZE), localWorldSize: header.u32(HF_RING_LOCAL_WORLD_SIZE))
    let identity = RingIdentity(
      jobID: JobID(at: base + Int(HF_RING_JOB_ID)), attempt: header.u64(HF_RING_ATTEMPT),
      generation: header.u64(HF_RING_GENERATION), place: place, arenaSlots: header.u32(HF_RING_ARENA_SLOTS))
    return (identity, capacity)
  }

  /// Creates a new ring and renames it into place. Processes that have the old one open keep it.
  static func create(
    directory: FilePath, identity: RingIdentity, capacity: UInt64
  ) throws(ProtocolError) -> FilePath {
    precondition(capacity >= 4096 && capacity.nonzeroBitCount == 1, "capacity is a power of two from 4096")
    let path = directory.appending(name(localRank: identity.place.localRank))
    let aside = FilePath(path.string + ".new")
    do {
      let file = try prepare(aside, capacity: capacity)
      let header = try MappedFile(file, count: Int(HF_HEADER_BYTES), access: .readWrite)
      write(identity, capacity, to: header.base)
      try header.checkIntact()
      // The old one gets the name of the next: freeing its pages would take longer than everything else here.
      // `prepare` clears it later.
      if FileSystem.exists(path) {
        try FileSystem.exchange(aside, path)
      } else {
        try FileSystem.rename(aside, to: path)
      }
    } catch {
      throw noRoom(error, capacity)
    }
    return path
  }

  /// Creates the next ring's file in advance, or clears that of the last one: allocating and clearing pages takes
  /// longer than the rest of a restart.
  static func prepare(directory: FilePath, localRank: UInt32, capacity: UInt64) throws(ProtocolError) {
    do {
      _ = try prepare(
        FilePath(directory.appending(name(localRank: localRank)).string + ".new"), capacity: capacity)
    } catch {
      throw noRoom(error, capacity)
    }
  }

  /// A file whose first word is zero is clean: that word is cleared last, and written first on reuse.
  private static func prepare(_ aside: FilePath, capacity: UInt64) throws(POSIXError) -> OpenFile {
    let bytes = Int(HF_HEADER_BYTES) + Int(capacity)
    var file = try OpenFile.replacing(aside, .readWrite)
    if try file.tryLock() {
      try file.unlock()
    } else {
      // A process that an earlier trainer left behind would continue to write into the next attempt's ring.
      try FileSystem.remove(aside)
      file = try OpenFile(aside, .readWrite, create: .always(mode: 0o600))
    }
    let status = try file.status()
    if Int(status.st_size) != bytes {
      try file.truncate(to: 0)
      // Allocate now: on a full tmpfs, the trainer's first write to a page would kill it.
      try file.allocate(bytes: bytes)
      return file
    }
    // The size is right, but it may have holes.
    if Int(status.st_blocks) * 512 < bytes { try file.allocate(bytes: bytes) }
    let mapping = try MappedFile(file, count: bytes, access: .readWrite)
    let magic = word(mapping.base)
    if magic.pointee.load(ordering: .relaxed) != 0 {
      memset(mapping.base + 8, 0, bytes - 8)
      magic.pointee.store(0, ordering: .releasing)
    }
    if mapping.isIntact { return file }
    // Another process truncated it and may do so again: use a new file.
    try FileSystem.remove(aside)
    let another = try OpenFile(aside, .readWrite, create: .always(mode: 0o600))
    try another.allocate(bytes: bytes)
    return another
  }

  private static func noRoom(_ error: POSIXError, _ capacity: UInt64) -> ProtocolError {
    ProtocolError(
      "no room for the ring", error,
      hint: "the run directory needs \(capacity >> 20) MiB for each ring; choose another one with --run-dir")
  }

  private static func write(
    _ identity: RingIdentity, _ capacity: UInt64, to header: UnsafeMutableRawPointer
  ) {
    // Written first, to mark the file as not clean.
    word(header).pointee.store(HF_RING_MAGIC.littleEndian, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    header.put(HF_PROTOCOL_VERSION, at: HF_RING_VERSION)
    header.put(HF_HEADER_BYTES, at: HF_RING_HEADER_BYTES)
    header.put(capacity, at: HF_RING_CAPACITY)
    identity.jobID.store(at: header + Int(HF_RING_JOB_ID))
    header.put(identity.attempt, at: HF_RING_ATTEMPT)
    header.put(identity.generation, at: HF_RING_GENERATION)
    header.put(identity.place.globalRank, at: HF_RING_GLOBAL_RANK)
    header.put(identity.place.localRank, at: HF_RING_LOCAL_RANK)
    header.put(identity.place.worldSize, at: HF_RING_WORLD_SIZE)
    header.put(identity.place.localWorldSize, at: HF_RING_LOCAL_WORLD_SIZE)
    header.put(identity.arenaSlots, at: HF_RING_ARENA_SLOTS)
    header.put(HF_NO_SLOT, at: HF_RING_SPARE_SLOT)
    header.put(UInt64(1), at: HF_RING_CONSUMED_SEQUENCE)
    let identityBytes = UnsafeRawBufferPointer(start: header, count: Int(HF_RING_IDENTITY_CRC))
    header.put(CRC32.checksum(identityBytes), at: HF_RING_IDENTITY_CRC)
  }

  private static func word(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
    pointer.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inline(__always)
  func word(_ offset: some BinaryInteger) -> UnsafeMutablePointer<Atomic<UInt64>> {
    (mapping.base + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inline(__always)
  func half(_ offset: some BinaryInteger) -> UnsafeMutablePointer<Atomic<UInt32>> {
    (mapping.base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  /// CRC of the record at `record`, with its CRC field as zero.
  @inline(__always)
  static func checksum(_ record: UnsafeRawPointer, length: Int, isPadding: Bool) -> UInt32 {
    // A copy of the header: 24 bytes, of which the last 8 are the CRC and a reserved word.
    var header = (
      record.loadUnaligned(as: UInt64.self), record.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
      UInt64(0)
    )
    let head = withUnsafeBytes(of: &header) { CRC32.checksum($0) }
    if isPadding { return head }
    let headerBytes = Int(HF_RECORD_HEADER_BYTES)
    return CRC32.checksum(
      UnsafeRawBufferPointer(start: record + headerBytes, count: length &- headerBytes), head)
  }
}
