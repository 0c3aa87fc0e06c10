public import Reporting

/// A value in the tree of a component's state.
public struct StateLeaf: Sendable {
  public enum Content: Sendable {
    /// - `name`: in the image; several leaves with one name share it.
    /// - `type`: the name of its element type in Python, if it is stored as another one.
    case tensor(name: String, type: String?)
    /// A single value.
    case value(JSONValue)
    /// Bytes, by their number.
    case data(bytes: Int)
  }

  public var component: String
  /// With the component, as in the names of tensors.
  public var path: String
  public var content: Content
}
