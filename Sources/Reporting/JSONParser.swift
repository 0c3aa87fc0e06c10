extension JSONValue {
  /// Maximum nesting, so that no text can exhaust the stack.
  public static let deepest = 512

  /// A syntax error.
  public struct Malformed: Error {
    /// In bytes.
    public var offset: Int
    public var what: String
  }

  /// Accepts any bytes. Duplicate keys are rejected, including canonically equivalent ones.
  public init(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
    var cursor = JSONCursor(bytes)
    self = try cursor.value()
    try cursor.end()
  }

  public init(parsing text: String) throws(Malformed) {
    var text = text
    let result = text.withUTF8 { utf8 -> Result<JSONValue, Malformed> in
      do throws(Malformed) { return .success(try JSONValue(UnsafeRawBufferPointer(utf8))) } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }
}
