/// The supervisor's verdict on the resume point in `resume.json`.
public enum PointVerdict: UInt32, Hashable, Sendable {
  /// There is nothing to wait for.
  case none = 0
  /// It is being verified.
  case pending = 1
  case whole = 2
  /// It was damaged; `resume.json` now names another one, or none.
  case replaced = 3
}
