/// A Codable document with members whose numbers keep their type. Foundation's encoder writes 1.0 as 1, and its
/// decoder reads 1.0 as an integer, so these members are written and read by `JSONValue` instead.
public protocol ExactJSON {
  /// By the keys in the document. Setting it ignores other keys.
  var exactMembers: [String: JSONValue] { get set }
}
