import Glibc

/// A growing buffer.
struct CopyBuffer {
  private(set) var base = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 16)
  private(set) var count = 1024

  subscript(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + start, count: count)
  }

  mutating func grow(to bytes: Int) {
    base.deallocate()
    base = .allocate(byteCount: bytes, alignment: 16)
    count = bytes
  }

  func deallocate() { base.deallocate() }
}
