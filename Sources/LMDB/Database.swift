import Glibc

/// A named database of an environment. Write transactions use its handle, which is valid for the life of the
/// environment once the transaction that opened it has committed. Read transactions use the name.
public struct Database: Hashable, Sendable {
  public let name: String
  let handle: UInt32

  init(name: String, handle: UInt32 = 0) {
    self.name = name
    self.handle = handle
  }
}
