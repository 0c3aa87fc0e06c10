/// Payload of the `failure` record: what the trainer knows of its own end.
public struct Failure: Hashable, Sendable, Codable {
  public var type: String
  public var message: String
  public var traceback: String?

  public init(type: String, message: String, traceback: String? = nil) {
    self.type = type
    self.message = message
    self.traceback = traceback
  }
}
