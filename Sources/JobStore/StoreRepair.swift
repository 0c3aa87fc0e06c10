import Glibc
import POSIX
public import SystemPackage
import TrainerProtocol

/// The result of repairing a damaged store.
public struct StoreRepair: Sendable {
  /// New path of the damaged file; nil if there was none.
  public var aside: FilePath?
  /// Number of records recovered from it.
  public var records: Int
}
