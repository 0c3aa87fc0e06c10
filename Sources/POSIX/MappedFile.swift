import CFaultGuard
import Glibc
public import SystemPackage

/// A shared mapping of the beginning of a file. Unmaps itself.
///
/// Another process can cut the file off at any moment. What is read beyond its new end is then zeros, and what
/// is written there goes nowhere, where else SIGBUS would end this process. So whatever was read, or written,
/// counts only if `checkIntact` says so afterwards.
public final class MappedFile: @unchecked Sendable {
  public enum Access: Sendable { case readOnly, readWrite }

  public enum Faults: Sendable {
    /// This process goes on, and asks `isIntact`.
    case survived
    /// The process ends, as it would of itself: a trainer, whose own files these are, must not train on while
    /// what it writes goes nowhere.
    case fatal
  }

  public let base: UnsafeMutableRawPointer
  public let count: Int
  public var path: FilePath { file.path }
  private let file: OpenFile
  /// Of the guard; nil: faults are fatal.
  private let region: CInt?

  /// Maps the first `count` bytes.
  /// - Parameter populate: take all page faults now rather than at first touch.
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

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Whether the file was as long as the mapping all the time, as far as it was used.
  public var isIntact: Bool {
    if let region, hf_guard_region_was_hit(region) { return false }
    // What was not touched tells nothing.
    return ((try? file.size()) ?? 0) >= count
  }

  /// - Throws: what was read is not to be believed, and what was written is nowhere.
  public func checkIntact() throws(POSIXError) {
    if !isIntact { throw POSIXError("mmap", path: path, errno: .ioError) }
  }
}
