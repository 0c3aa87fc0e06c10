import FoundationEssentials

/// Codable documents of the project as JSON: keys in snake_case and sorted, on one line.
public enum JSON {
  public static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    // Encoding structs of plain values cannot fail.
    let bytes = Array((try? encoder.encode(value)) ?? Data())
    guard let exact = value as? any ExactJSON, let document = document(bytes, exact) else { return bytes }
    var json = JSONText()
    document.write(to: &json)
    return json.bytes
  }

  /// An encoded document with the exact members of its value.
  /// - Returns: nil if `bytes` are not an object.
  public static func document(_ bytes: [UInt8], _ value: any ExactJSON) -> JSONValue? {
    guard var members = parse(bytes)?.object else { return nil }
    members.merge(value.exactMembers.mapValues(\.writable)) { $1 }
    return .object(members)
  }

  private static func parse(_ bytes: some Sequence<UInt8>) -> JSONValue? {
    Array(bytes).withUnsafeBytes { try? JSONValue($0) }
  }

  /// Sets the exact members of a decoded value.
  public static func restoreExactMembers<Value>(of value: Value, from bytes: some Sequence<UInt8>) -> Value {
    guard var exact = value as? any ExactJSON else { return value }
    let wanted = exact.exactMembers.filter { $0.value != .object([:]) }
    if wanted.isEmpty { return value }
    exact.exactMembers = members(of: Array(bytes), wanted.keys)
    return exact as? Value ?? value
  }

  /// The members of an object with one of these keys; nothing from malformed text.
  private static func members(of bytes: [UInt8], _ keys: some Collection<String>) -> [String: JSONValue] {
    bytes.withUnsafeBytes { bytes in
      var found: [String: JSONValue] = [:]
      var cursor = JSONCursor(bytes)
      try? cursor.members { key, cursor throws(JSONValue.Malformed) in
        if keys.contains(key) { found[key] = try cursor.value() } else { try cursor.skip() }
      }
      return found
    }
  }

  /// - Returns: nil if the bytes are not such a document.
  public static func decode<Value: Decodable>(_ bytes: some Sequence<UInt8>) -> Value? {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    let value = try? decoder.decode(Value.self, from: Data(bytes))
    return value.map { restoreExactMembers(of: $0, from: bytes) }
  }
}
