import Reporting

/// Walks the JSON tree of one component's state. Values of Python, see Formats.md, are walked like those of JSON.
struct StateWalk {
  typealias Malformed = JSONValue.Malformed

  let component: String
  let leaf: (StateLeaf) -> Void

  func value(_ cursor: inout JSONCursor, _ path: String) throws(Malformed) {
    switch cursor.nextByte {
    case UInt8(ascii: "{"): try object(&cursor, path)
    case UInt8(ascii: "["):
      try cursor.elements { index, cursor throws(Malformed) in try value(&cursor, "\(path)/\(index)") }
    default: emit(path, .value(try cursor.value()))
    }
  }

  private func emit(_ path: String, _ content: StateLeaf.Content) {
    leaf(StateLeaf(component: component, path: path, content: content))
  }

  private func object(_ cursor: inout JSONCursor, _ path: String) throws(Malformed) {
    var python: PythonValue?
    try cursor.members { key, cursor throws(Malformed) in
      if key == "$$python" {
        python = PythonValue(kind: try cursor.value().string ?? "")
      } else if python != nil {
        try member(key, of: &python, &cursor, path)
      } else if key.utf8.first == UInt8(ascii: "$"), !key.utf8.starts(with: "$$".utf8) {
        tagged(key, try cursor.value(), path)
      } else {
        let name = key.utf8.starts(with: "$$".utf8) ? String(key.dropFirst()) : key
        try value(&cursor, "\(path)/\(ImageWriter.escape(name))")
      }
    }
    guard let python, let tensor = python.tensor else { return }
    // Arrays of numpy are stored as bytes with a further dimension, except complex ones.
    let isRetyped = python.kind == "tensor" || python.type == "complex64"
    emit(path, .tensor(name: tensor, type: isRetyped ? python.type : nil))
  }

  private func tagged(_ key: String, _ value: JSONValue, _ path: String) {
    let text = value.string ?? ""
    switch key {
    case "$tensor": emit(path, .tensor(name: text, type: nil))
    case "$real": emit(path, .value(Double(text).map(JSONValue.real) ?? value))
    case "$bits": emit(path, .value(UInt64(text, radix: 16).map { .real(Double(bitPattern: $0)) } ?? value))
    case "$data": emit(path, .data(bytes: Base64.decode(text)?.count ?? 0))
    default: emit(path, .value(value))
    }
  }

  // MARK: Values of Python

  private struct PythonValue {
    var kind: String
    /// Of a tensor: its name in the image, and its element type if that is stored as another one.
    var tensor: String?
    var type: String?
  }

  private func member(
    _ key: String, of python: inout PythonValue?, _ cursor: inout JSONCursor, _ path: String
  ) throws(Malformed) {
    switch (key, python?.kind) {
    case ("value", "dict"): try pairs(&cursor, path)
    case ("value", "scalar"): emit(path, .data(bytes: Base64.decode(data(try cursor.value()))?.count ?? 0))
    case ("value", _):
      guard cursor.nextByte == UInt8(ascii: "{") else { return try value(&cursor, path) }
      // Without its other members a tensor's type is not known yet.
      let bytes = try cursor.skippedBytes()
      if bytes.count < Self.largestTensorNode, let name = tensor(bytes) {
        python?.tensor = name
      } else {
        var inner = JSONCursor(bytes)
        try value(&inner, path)
      }
    case ("dtype", _): python?.type = try cursor.value().string
    default: try cursor.skip()
    }
  }

  private static let largestTensorNode = 1 << 20

  private func tensor(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.prefix(10).elementsEqual(#"{"$tensor""#.utf8), let members = try? JSONValue(bytes).object
    else {
      return nil
    }
    return members["$tensor"]?.string
  }

  private func data(_ value: JSONValue) -> String { value.object?["$data"]?.string ?? "" }

  /// A dictionary whose keys are not strings: an array of keys and values.
  private func pairs(_ cursor: inout JSONCursor, _ path: String) throws(Malformed) {
    try cursor.elements { index, cursor throws(Malformed) in
      var key = "\(index)"
      try cursor.elements { position, cursor throws(Malformed) in
        if position == 0 {
          key = Self.text(try cursor.value()) ?? key
        } else {
          try value(&cursor, "\(path)/\(ImageWriter.escape(key))")
        }
      }
    }
  }

  private static func text(_ key: JSONValue) -> String? {
    switch key {
    case .string(let text): text
    case .integer(let number): "\(number)"
    case .bool(let value): value ? "True" : "False"
    default: nil
    }
  }
}
