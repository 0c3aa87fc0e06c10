import Reporting

/// Writes a state image: the bytes of a `state.safetensors`.
///
/// Tensors are named `component/path/to/leaf`; everything else is in `__metadata__`, as JSON text
/// under `holdfast.state` (a mirror of the tree in which a tensor is `{"$tensor": name}`) and
/// `holdfast.loop_state`. A real number is `{"$real": text}` or, where it is not finite,
/// `{"$bits": hex}`, so that its bits survive; data is `{"$data": base64}`; a key that begins with
/// `$` is written with a second one.
public struct ImageWriter {
  static let stateKey = "holdfast.state"
  static let loopKey = "holdfast.loop_state"
  /// Maximum nesting of a component's state: the reader's limit less the levels that the image adds.
  public static let deepestState = JSONValue.deepest - 4

  /// With its length before it.
  private let header: [UInt8]
  private let tensors: [Tensor]
  /// Size of the whole image.
  public let imageBytes: Int

  /// - Precondition: names are unique, and no state exceeds `deepestState`.
  public init(_ components: [(name: String, state: StateValue)], loop: ImageLoop) {
    precondition(Set(components.map(\.name)).count == components.count, "component names must be unique")
    var collector = Collector()
    collector.json.raw("{")
    for (index, component) in components.enumerated() {
      if index > 0 { collector.json.raw(",") }
      collector.json.string(component.name)
      collector.json.raw(":")
      collector.write(component.state, path: Self.escape(component.name), depth: 0)
    }
    collector.json.raw("}")
    // Sorting by element size, larger first, keeps all tensors aligned; then by name.
    let order = collector.tensors.sorted {
      ($1.tensor.dtype.bytes, $0.name) < ($0.tensor.dtype.bytes, $1.name)
    }
    var header = SafetensorsHeader(loop: loop, state: collector.json)
    for (name, tensor) in order { header.add(name, tensor.dtype, tensor.shape, byteCount: tensor.byteCount) }
    let tensorBytes = header.tensorBytes
    self.header = header.end()
    tensors = order.map(\.tensor)
    imageBytes = self.header.count + tensorBytes
  }

  /// Writes the image into exactly `imageBytes` bytes. Each tensor is copied once.
  public func write(into destination: UnsafeMutableRawBufferPointer) {
    precondition(destination.count == imageBytes, "an image has a fixed size")
    guard var next = destination.baseAddress else { return }
    header.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { next.copyMemory(from: base, byteCount: bytes.count) }
    }
    next += header.count
    for tensor in tensors {
      tensor.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        next.copyMemory(from: base, byteCount: bytes.count)
        next += bytes.count
      }
    }
  }

  /// Escapes as JSON Pointer does (RFC 6901). It works on bytes, as a character may be a slash with a
  /// combining accent.
  public static func escape(_ key: String) -> String {
    let (slash, tilde) = (UInt8(ascii: "/"), UInt8(ascii: "~"))
    guard key.utf8.contains(where: { $0 == slash || $0 == tilde }) else { return key }
    let escaped = key.utf8.flatMap { byte -> [UInt8] in
      if byte == tilde { return Array("~0".utf8) }
      return byte == slash ? Array("~1".utf8) : [byte]
    }
    return String(decoding: escaped, as: UTF8.self)
  }

  /// Reverses `escape`.
  public static func unescape(_ key: String) -> String {
    guard key.utf8.contains(UInt8(ascii: "~")) else { return key }
    var bytes: [UInt8] = []
    var isEscaped = false
    for byte in key.utf8 {
      if isEscaped {
        isEscaped = false
        switch byte {
        case UInt8(ascii: "0"): bytes.append(UInt8(ascii: "~"))
        case UInt8(ascii: "1"): bytes.append(UInt8(ascii: "/"))
        default: bytes += [UInt8(ascii: "~"), byte]
        }
      } else if byte == UInt8(ascii: "~") {
        isEscaped = true
      } else {
        bytes.append(byte)
      }
    }
    if isEscaped { bytes.append(UInt8(ascii: "~")) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private struct Collector {
    var json = JSONText()
    var tensors: [(name: String, tensor: Tensor)] = []

    mutating func write(_ value: StateValue, path: String, depth: Int) {
      precondition(
        depth <= ImageWriter.deepestState, "the state at '\(path.prefix(200))…' is nested too deeply")
      switch value {
      case .null: json.raw("null")
      case .bool(let value): json.raw(value ? "true" : "false")
      case .integer(let value): json.integer(value)
      case .real(let value) where value.isFinite:
        json.raw("{\"$real\":\"\(value)\"}")
      case .real(let value):
        json.raw("{\"$bits\":\"\(String(value.bitPattern, radix: 16))\"}")
      case .string(let value): json.string(value)
      case .data(let value):
        json.raw("{\"$data\":\"\(Base64.encode(value))\"}")
      case .tensor(let tensor):
        // The only reserved name of the format. No other path ends with a slash.
        let name = path == "__metadata__" ? path + "/" : path
        tensors.append((name, tensor))
        json.raw("{\"$tensor\":")
        json.string(name)
        json.raw("}")
      case .array(let values):
        json.raw("[")
        for (index, value) in values.enumerated() {
          if index > 0 { json.raw(",") }
          write(value, path: "\(path)/\(index)", depth: depth + 1)
        }
        json.raw("]")
      case .object(let members):
        json.raw("{")
        for (index, key) in members.keys.sorted().enumerated() {
          if index > 0 { json.raw(",") }
          json.string(key.utf8.first == UInt8(ascii: "$") ? "$" + key : key)
          json.raw(":")
          write(members[key] ?? .null, path: "\(path)/\(ImageWriter.escape(key))", depth: depth + 1)
        }
        json.raw("}")
      }
    }
  }
}
