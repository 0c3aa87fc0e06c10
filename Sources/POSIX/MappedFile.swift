import Glibc
public import SystemPackage

/// A shared mapping of a whole file. Unmaps itself.
public final class MappedFile: @unchecked Sendable {
  public enum Access: Sendable { case readOnly, readWrite }

  public let base: UnsafeMutableRawPointer
  public let count: Int
  public let path: FilePath

  /// Maps the first `count` bytes.
  /// - Parameter populate: take all page faults now rather than at first touch.
  public init(_ file: OpenFile, count: Int, access: Access, populate: Bool = false) throws(POSIXError) {
    let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
    let flags = MAP_SHARED | (populate ? CInt(MAP_POPULATE) : 0)
    let address = mmap(nil, count, protection, flags, file.descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw POSIXError("mmap", path: file.path, errno: Errno(rawValue: Glibc.errno))
    }
    base = address
    self.count = count
    path = file.path
  }

  deinit { munmap(base, count) }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}
