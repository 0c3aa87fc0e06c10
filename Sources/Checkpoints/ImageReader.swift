import Reporting

/// Reads a state image. Accepts any bytes and executes nothing in them.
public struct ImageReader {
  public let components: [String: StateValue]
  public let loop: ImageLoop

  /// - Parameter bytes: needed only during the call, as tensors are copied.
  /// - Throws: `damaged`; `unsupported` for an unknown element type, `newerVersion` for an unknown kind of
  ///   value.
  public init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    let header = try ImageHeader(bytes)
    loop = try Self.loop(header)
    guard let text = header.metadata[ImageWriter.stateKey] else {
      throw .damaged("it has no '\(ImageWriter.stateKey)': written by another program")
    }
    let document: JSONValue
    do throws(JSONValue.Malformed) {
      document = try JSONValue(parsing: text)
    } catch {
      throw .damaged("its state is not JSON: \(error.what) (character \(error.offset))")
    }
    guard let members = document.object else { throw .damaged("its state is not an object") }
    let tensors = Self.tensors(header, bytes)
    var components: [String: StateValue] = [:]
    for (name, value) in members { components[name] = try Self.value(value, tensors) }
    self.components = components
  }

  /// The loop state, without reading tensors.
  public static func loop(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> ImageLoop {
    try loop(ImageHeader(bytes))
  }

  /// The tensors of any safetensors file, by name.
  public static func tensors(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> [String: Tensor] {
    tensors(try ImageHeader(bytes), bytes)
  }

  private static func loop(_ header: ImageHeader) throws(CheckpointError) -> ImageLoop {
    guard let text = header.metadata[ImageWriter.loopKey] else {
      throw .damaged("it has no '\(ImageWriter.loopKey)': written by another program")
    }
    guard let document = try? JSONValue(parsing: text), let loop = ImageLoop(document) else {
      throw .damaged("it has no loop state")
    }
    return loop
  }

  // MARK: Tensors

  private static func tensors(_ header: ImageHeader, _ bytes: UnsafeRawBufferPointer) -> [String: Tensor] {
    let data = UnsafeRawBufferPointer(rebasing: bytes[header.dataStart...])
    var tensors: [String: Tensor] = [:]
    for entry in header.entries {
      let bytes = UnsafeRawBufferPointer(rebasing: data[entry.range])
      tensors[entry.name] =
        switch entry.dtype {
        case .float32: Tensor(copy(bytes, as: Float.self), shape: entry.shape)
        case .float64: Tensor(copy(bytes, as: Double.self), shape: entry.shape)
        case .int64: Tensor(copy(bytes, as: Int64.self), shape: entry.shape)
        default: Tensor(dtype: entry.dtype, shape: entry.shape, bytes: Array(bytes))
        }
    }
    return tensors
  }

  private static func copy<Element>(_ bytes: UnsafeRawBufferPointer, as: Element.Type) -> [Element] {
    let count = bytes.count / MemoryLayout<Element>.stride
    return Array(unsafeUninitializedCapacity: count) { buffer, initialized in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
      initialized = count
    }
  }

  // MARK: Tree

  private static func value(
    _ document: JSONValue, _ tensors: [String: Tensor]
  ) throws(CheckpointError) -> StateValue {
    switch document {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .real(let value): return .real(value)
    case .string(let value): return .string(value)
    case .unsigned(let value): throw .damaged("\(value) is not a signed 64-bit integer")
    case .array(let elements):
      var values: [StateValue] = []
      for element in elements { values.append(try value(element, tensors)) }
      return .array(values)
    case .object(let members):
      if members.count == 1, let (key, text) = members.first, isTag(key) {
        guard case .string(let text) = text else {
          if Self.tags.contains(key) { throw .damaged("\(key) is not a string") }
          throw unknown(key)
        }
        return try leaf(key, text, tensors)
      }
      var values: [String: StateValue] = [:]
      for (key, member) in members {
        // A tag beside other members is from a later version.
        if isTag(key) { throw unknown(key) }
        values[key.utf8.starts(with: "$$".utf8) ? String(key.dropFirst()) : key] = try value(member, tensors)
      }
      return .object(values)
    }
  }

  private static let tags: Set = ["$tensor", "$real", "$bits", "$data"]

  private static func isTag(_ key: String) -> Bool {
    key.utf8.starts(with: "$".utf8) && !key.utf8.starts(with: "$$".utf8)
  }

  private static func unknown(_ key: String) -> CheckpointError {
    CheckpointError(
      .newerVersion, "unknown kind of value \(key)", hint: "update holdfast")
  }

  private static func leaf(
    _ key: String, _ text: String, _ tensors: [String: Tensor]
  ) throws(CheckpointError) -> StateValue {
    switch key {
    case "$tensor":
      guard let tensor = tensors[text] else { throw .damaged("tensor '\(text)' is missing") }
      return .tensor(tensor)
    case "$real":
      guard let value = Double(text) else { throw .damaged("'\(text)' is not a number") }
      return .real(value)
    case "$bits":
      guard let bits = UInt64(text, radix: 16) else { throw .damaged("'\(text)' is not a bit pattern") }
      return .real(Double(bitPattern: bits))
    case "$data":
      guard let bytes = Base64.decode(text) else { throw .damaged("'\(key)' is not base64") }
      return .data(bytes)
    default: throw unknown(key)
    }
  }
}
