import Checkpoints
import Reporting

/// The name of something in a storage: path components joined by slashes, each of which is valid as the name of a
/// checkpoint.
public struct StorageKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public static let longest = 600

  public let text: String

  /// - Returns: nil if `text` is not a valid key.
  public init?(_ text: String) {
    let components = text.split(separator: "/", omittingEmptySubsequences: false)
    guard text.utf8.count <= Self.longest, components.allSatisfy({ LocalCheckpoints.isValid(String($0)) })
    else {
      return nil
    }
    self.text = text
  }

  /// The key of a checkpoint: `attempt-4-1f3a9c27/step-48700`. Each run of a supervisor has its own mark, so that
  /// two machines that run the same attempt do not overwrite each other's objects.
  /// - Parameters:
  ///   - mark: 32 random bits.
  ///   - name: of the local checkpoint.
  /// - Returns: nil if `name` is not a valid one.
  public init?(attempt: UInt64, mark: UInt32, name: String) {
    self.init("attempt-\(attempt)-\(mark.hexadecimal)/\(name)")
  }

  /// The last component.
  public var name: String { text.split(separator: "/").last.map { String($0) } ?? text }

  public var description: String { text }

  public static func < (one: StorageKey, other: StorageKey) -> Bool { one.text < other.text }
}
