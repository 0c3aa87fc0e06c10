import CFaultGuard
import Glibc
public import SystemPackage

/// A shared mapping of the beginning of a file. Unmaps itself.
///
/// Another process can truncate the file at any moment. Reads beyond its new end then return zeros and writes
/// there are lost, where SIGBUS would end this process otherwise. So data that was read or written is valid only
/// if `checkIntact` succeeds afterwards.
public final class MappedFile: @unchecked Sendable {
  public enum Access: Sendable { case readOnly, readWrite }

  public enum Faults: Sendable {
    /// This process continues and checks `isIntact`.
    case survived
    /// The process ends by the signal. For a trainer, which must not continue while its writes to its own files
    /// are lost.
    case fatal
  }

  public let base: UnsafeMutableRawPointer
  public let count: Int
  public var path: FilePath { file.path }
  private let file: OpenFile
  /// The guarded region; nil: faults are fatal.
  private let region: CInt?

  /// Maps the first `count` bytes.
  /// - Parameter populate: fault in all pages now rather than at first access.
  public init(
    _ file: OpenFile, count: Int, access: Access, populate: Bool = false, faults: Faults = .survived
  ) throws(POSIXError) {
    let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
    let flags = MAP_SHARED | (populate ? CInt(MAP_POPULATE) : 0)
    let address = mmap(nil, count, protection, flags, file.descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw POSIXError("mmap", path: file.path, errno: Errno(rawValue: Glibc.errno))
    }
    if faults == .survived {
      let region = hf_guard_region_add(address, count)
      guard region >= 0 else {
        munmap(address, count)
        throw POSIXError("mmap", path: file.path, errno: Errno(rawValue: -region))
      }
      self.region = region
    } else {
      region = nil
    }
    base = address
    self.count = count
    self.file = file
  }

  deinit {
    if let region { hf_guard_region_remove(region) }
    munmap(base, count)
  }

  /// Makes all pages present, a few at a time, so that other threads can map memory meanwhile.
  /// - Returns: false if the kernel (before 5.14) cannot do so, or a page cannot be present.
  public func populate() -> Bool {
    let window = 8 << 20
    // MADV_POPULATE_WRITE of linux/mman.h; unlike an access it does not raise SIGBUS.
    return stride(from: 0, to: count, by: window).allSatisfy {
      madvise(base + $0, min(window, count - $0), 23) == 0
    }
  }

  /// Makes pages of a read-only mapping present that are in memory, without waiting for the disk.
  /// - Parameter start: the end of what is present, a multiple of the page size.
  /// - Returns: the new end.
  public func populateResident(from start: Int) -> Int {
    let (window, page) = (4 << 20, 4096)
    var end = start
    var residence = [UInt8](repeating: 0, count: window / page)
    while end < count {
      let size = min(window, count - end)
      guard mincore(base + end, size, &residence) == 0,
        residence.prefix((size + page - 1) / page).allSatisfy({ $0 & 1 == 1 }),
        // MADV_POPULATE_READ, from Linux 5.14 on.
        madvise(base + end, size, 22) == 0
      else { break }
      end += size
    }
    return end
  }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Whether the file covered all accesses so far and still covers the mapping.
  public var isIntact: Bool {
    if let region, hf_guard_region_was_hit(region) { return false }
    // A page that was not accessed has not faulted.
    return ((try? file.size()) ?? 0) >= count
  }

  /// - Throws: data that was read is invalid, and data that was written is lost.
  public func checkIntact() throws(POSIXError) {
    if !isIntact { throw POSIXError("mmap", path: path, errno: .ioError) }
  }
}
