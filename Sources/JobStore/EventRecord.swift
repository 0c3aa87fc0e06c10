import Reporting
import TrainerProtocol
public import Vocabulary

/// An event, as a message and as fields.
public struct EventRecord: Hashable, Sendable, Codable {
  /// Assigned by the store when it is written.
  public var sequence: UInt64 = 0
  public var timeNs: UInt64
  public var kind: Stored<EventKind>
  public var attempt: UInt64
  public var step: UInt64?
  public var isWarning: Bool
  public var message: String

  public init(
    timeNs: UInt64, kind: Stored<EventKind>, attempt: UInt64, step: UInt64?, isWarning: Bool, message: String
  ) {
    self.timeNs = timeNs
    self.kind = kind
    self.attempt = attempt
    self.step = step
    self.isWarning = isWarning
    self.message = message
  }
}
