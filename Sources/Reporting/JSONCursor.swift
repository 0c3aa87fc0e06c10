/// Reads a JSON document step by step, in the memory of the value that is being read. Accepts any bytes.
public struct JSONCursor {
  public typealias Malformed = JSONValue.Malformed

  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var depth = 0

  /// - Parameter bytes: valid as long as the cursor is used.
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The first byte of the next value; nil at the end.
  public var nextByte: UInt8? {
    mutating get {
      skipSpace()
      return next
    }
  }

  /// - Throws: unless the document ends here.
  public mutating func end() throws(Malformed) {
    skipSpace()
    guard position == bytes.count else { throw malformed("unexpected data after the document") }
  }

  /// Reads the members of an object. `body` must read each value or skip it.
  public mutating func members(
    _ body: (_ key: String, inout JSONCursor) throws(Malformed) -> Void
  ) throws(Malformed) {
    try open("{")
    skipSpace()
    if accept("}") {
      depth -= 1
      return
    }
    while true {
      let key = try key()
      try body(key, &self)
      skipSpace()
      if accept("}") {
        depth -= 1
        return
      }
      guard accept(",") else { throw malformed("missing ',' or '}'") }
    }
  }

  /// Reads the elements of an array. `body` must read each value or skip it.
  public mutating func elements(
    _ body: (_ index: Int, inout JSONCursor) throws(Malformed) -> Void
  ) throws(Malformed) {
    try open("[")
    skipSpace()
    if accept("]") {
      depth -= 1
      return
    }
    var index = 0
    while true {
      try body(index, &self)
      index += 1
      skipSpace()
      if accept("]") {
        depth -= 1
        return
      }
      guard accept(",") else { throw malformed("missing ',' or ']'") }
    }
  }

  /// Skips the next value.
  public mutating func skip() throws(Malformed) {
    switch nextByte {
    case UInt8(ascii: "{"): try members { (_, cursor) throws(Malformed) in try cursor.skip() }
    case UInt8(ascii: "["): try elements { (_, cursor) throws(Malformed) in try cursor.skip() }
    default: _ = try value()
    }
  }

  /// Skips and returns the bytes of the next value.
  public mutating func skippedBytes() throws(Malformed) -> UnsafeRawBufferPointer {
    skipSpace()
    let begin = position
    try skip()
    return UnsafeRawBufferPointer(rebasing: bytes[begin..<position])
  }

  /// Reads the next value as a whole.
  public mutating func value() throws(Malformed) -> JSONValue { try value(depth: depth) }

  private mutating func open(_ bracket: Unicode.Scalar) throws(Malformed) {
    guard depth < JSONValue.deepest else { throw malformed("nested too deeply") }
    skipSpace()
    guard accept(bracket) else { throw malformed("missing '\(bracket)'") }
    depth += 1
  }

  private mutating func key() throws(Malformed) -> String {
    skipSpace()
    guard next == UInt8(ascii: "\"") else { throw malformed("missing key") }
    let key = try string()
    skipSpace()
    guard accept(":") else { throw malformed("missing ':'") }
    return key
  }

  private func malformed(_ what: String) -> Malformed { Malformed(offset: position, what: what) }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    guard let next, UInt32(next) == character.value else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let next, next == 0x20 || next == 0x0a || next == 0x0d || next == 0x09 { position += 1 }
  }

  private mutating func value(depth: Int) throws(Malformed) -> JSONValue {
    guard depth < JSONValue.deepest else { throw malformed("nested too deeply") }
    skipSpace()
    guard let next else { throw malformed("unexpected end") }
    switch next {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw malformed("invalid value")
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Malformed) -> JSONValue {
    let letters = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard bytes[position...].starts(with: letters) else { throw malformed("invalid value") }
    position += letters.count
    return value
  }

  private mutating func object(depth: Int) throws(Malformed) -> [String: JSONValue] {
    position += 1
    var members: [String: JSONValue] = [:]
    skipSpace()
    if accept("}") { return members }
    while true {
      let key = try key()
      let member = try value(depth: depth + 1)
      guard members.updateValue(member, forKey: key) == nil else {
        throw malformed("duplicate key '\(key)'")
      }
      skipSpace()
      if accept("}") { return members }
      guard accept(",") else { throw malformed("missing ',' or '}'") }
    }
  }

  private mutating func array(depth: Int) throws(Malformed) -> [JSONValue] {
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if accept("]") { return elements }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if accept("]") { return elements }
      guard accept(",") else { throw malformed("missing ',' or ']'") }
    }
  }

  // MARK: Numbers

  private mutating func digits() throws(Malformed) {
    let begin = position
    while let next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= next { position += 1 }
    guard position > begin else { throw malformed("missing digit") }
  }

  private mutating func number() throws(Malformed) -> JSONValue {
    let begin = position
    let isNegative = accept("-")
    let first = position
    try digits()
    guard bytes[first] != UInt8(ascii: "0") || position == first + 1 else {
      throw malformed("leading zero")
    }
    var isWhole = true
    if accept(".") {
      isWhole = false
      try digits()
    }
    if accept("e") || accept("E") {
      isWhole = false
      if !accept("+") { _ = accept("-") }
      try digits()
    }
    let text = String(decoding: bytes[begin..<position], as: UTF8.self)
    if isWhole {
      if let value = Int64(text) { return .integer(value) }
      if !isNegative, let value = UInt64(text) { return .unsigned(value) }
      throw malformed("integer of more than 64 bits")
    }
    guard let value = Double(text), value.isFinite else { throw malformed("number out of range") }
    return .real(value)
  }

  // MARK: Strings

  private mutating func string() throws(Malformed) -> String {
    position += 1
    var decoded: [UInt8] = []
    var begin = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        decoded.append(contentsOf: bytes[begin..<position])
        position += 1
        guard let text = String(validating: decoded, as: UTF8.self) else { throw malformed("invalid UTF-8") }
        return text
      case UInt8(ascii: "\\"):
        decoded.append(contentsOf: bytes[begin..<position])
        position += 1
        decoded.append(contentsOf: try escaped())
        begin = position
      case 0..<0x20: throw malformed("control character in a string")
      default: position += 1
      }
    }
    throw malformed("unterminated string")
  }

  private mutating func escaped() throws(Malformed) -> [UInt8] {
    guard let byte = next else { throw malformed("unexpected end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return Array(String(try scalar()).utf8)
    default: throw malformed("unknown escape")
    }
  }

  /// One `\u` escape, or two for a surrogate pair.
  private mutating func scalar() throws(Malformed) -> Character {
    var code = try fourDigits()
    if 0xd800..<0xdc00 ~= code {
      guard accept("\\"), accept("u") else { throw malformed("unpaired surrogate") }
      let low = try fourDigits()
      guard 0xdc00..<0xe000 ~= low else { throw malformed("unpaired surrogate") }
      code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw malformed("unpaired surrogate") }
    return Character(scalar)
  }

  private mutating func fourDigits() throws(Malformed) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let next, let digit = Character(Unicode.Scalar(next)).hexDigitValue else {
        throw malformed("\\u needs four digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
