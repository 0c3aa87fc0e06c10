/// The codes of one kind of error.
public protocol ErrorCode: Hashable, Sendable {
  /// Whether descriptions end with the hint. For errors that a trainer prints: no command of holdfast formats them.
  static var describesHint: Bool { get }
}

extension ErrorCode {
  public static var describesHint: Bool { false }
}
