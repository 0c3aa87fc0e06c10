import FoundationEssentials

/// Reads a state image, from this project or of any safetensors writer. Total: any bytes either are
/// an image or throw `damaged`.
public struct ImageReader {
  public let components: [String: StateValue]
  public let loop: ImageLoop

  /// Header that is read at most, in bytes; the limit of the format's own reader.
  static let largestHeader = 100_000_000

  /// - Parameter bytes: not needed any more afterwards: tensors are copied out.
  public init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    let header = try Self.header(bytes)
    let data = UnsafeRawBufferPointer(rebasing: bytes[header.dataStart...])
    var tensors: [String: Tensor] = [:]
    var end = 0
    // An empty tensor begins where its neighbour does.
    let order = header.entries.sorted {
      ($0.value.dataOffsets[0], $0.value.dataOffsets[1]) < ($1.value.dataOffsets[0], $1.value.dataOffsets[1])
    }
    for (name, entry) in order {
      tensors[name] = try Self.tensor(name, entry, data, after: &end)
    }
    guard end == data.count else { throw Self.damaged("\(data.count - end) bytes belong to no tensor") }
    loop = try Self.loop(header.metadata)
    guard let stateText = header.metadata["holdfast.state"],
      let tree = try? JSONDecoder().decode(Node.self, from: Data(stateText.utf8)),
      case .object(let members) = tree
    else { throw Self.damaged("no state") }
    var components: [String: StateValue] = [:]
    for (name, node) in members { components[name] = try Self.value(node, tensors) }
    self.components = components
  }

  /// The loop state alone, for which no tensor is touched.
  public static func loop(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> ImageLoop {
    try loop(header(bytes).metadata)
  }

  private static func loop(_ metadata: [String: String]) throws(CheckpointError) -> ImageLoop {
    guard let text = metadata["holdfast.loop_state"],
      let loop = try? JSONDecoder().decode(ImageLoop.self, from: Data(text.utf8))
    else { throw damaged("no loop state") }
    return loop
  }

  static func damaged(_ what: String) -> CheckpointError {
    CheckpointError(.damaged, operation: "read image", what: what)
  }

  // MARK: Header

  private struct Entry: Decodable {
    var dtype: String
    var shape: [Int]
    var dataOffsets: [Int]
    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case dataOffsets = "data_offsets"
    }
  }

  private enum HeaderValue: Decodable {
    case metadata([String: String])
    case entry(Entry)

    init(from decoder: any Decoder) throws {
      if let entry = try? Entry(from: decoder) {
        self = .entry(entry)
      } else {
        self = .metadata(try [String: String](from: decoder))
      }
    }
  }

  private static func header(
    _ bytes: UnsafeRawBufferPointer
  ) throws(CheckpointError) -> (entries: [String: Entry], metadata: [String: String], dataStart: Int) {
    guard bytes.count >= 8 else { throw damaged("\(bytes.count) bytes are no image") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(min(largestHeader, bytes.count - 8)) else {
      throw damaged("its header is cut off")
    }
    let dataStart = 8 + Int(length)
    guard let values = try? JSONDecoder().decode([String: HeaderValue].self, from: Data(bytes[8..<dataStart]))
    else { throw damaged("its header is no JSON of safetensors") }
    var entries: [String: Entry] = [:]
    var metadata: [String: String] = [:]
    for (name, value) in values {
      switch value {
      case .metadata(let strings) where name == "__metadata__": metadata = strings
      case .entry(let entry) where entry.dataOffsets.count == 2: entries[name] = entry
      default: throw damaged("'\(name)' is no tensor")
      }
    }
    return (entries, metadata, dataStart)
  }

  private static func tensor(
    _ name: String, _ entry: Entry, _ data: UnsafeRawBufferPointer, after end: inout Int
  ) throws(CheckpointError) -> Tensor {
    guard let dtype = DType(rawValue: entry.dtype) else {
      throw CheckpointError(
        .unsupported, operation: "read image", what: "'\(name)' has the unknown type \(entry.dtype)")
    }
    var size = dtype.bytes
    for extent in entry.shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { throw damaged("'\(name)' has an impossible shape") }
      size = product
    }
    let (begin, stop) = (entry.dataOffsets[0], entry.dataOffsets[1])
    guard begin == end, stop >= begin, stop <= data.count, stop - begin == size else {
      throw damaged("the bytes of '\(name)' do not fit its shape or its neighbours")
    }
    end = stop
    let bytes = UnsafeRawBufferPointer(rebasing: data[begin..<stop])
    switch dtype {
    case .float32: return Tensor(copy(bytes, as: Float.self), shape: entry.shape)
    case .float64: return Tensor(copy(bytes, as: Double.self), shape: entry.shape)
    case .int64: return Tensor(copy(bytes, as: Int64.self), shape: entry.shape)
    default: return Tensor(dtype: dtype, shape: entry.shape, bytes: Array(bytes))
    }
  }

  private static func copy<Element>(_ bytes: UnsafeRawBufferPointer, as: Element.Type) -> [Element] {
    let count = bytes.count / MemoryLayout<Element>.stride
    return Array(unsafeUninitializedCapacity: count) { buffer, initialized in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
      initialized = count
    }
  }

  // MARK: Tree

  private indirect enum Node: Decodable {
    case null
    case bool(Bool)
    case integer(Int64)
    case string(String)
    case array([Node])
    case object([String: Node])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Int64.self) {
        self = .integer(value)
      } else if let value = try? container.decode(String.self) {
        self = .string(value)
      } else if let value = try? container.decode([Node].self) {
        self = .array(value)
      } else {
        self = .object(try container.decode([String: Node].self))
      }
    }
  }

  private static func value(_ node: Node, _ tensors: [String: Tensor]) throws(CheckpointError) -> StateValue {
    switch node {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .string(let value): return .string(value)
    case .array(let nodes):
      var values: [StateValue] = []
      for node in nodes { values.append(try value(node, tensors)) }
      return .array(values)
    case .object(let members):
      if members.count == 1, let (key, node) = members.first, key.hasPrefix("$"), !key.hasPrefix("$$") {
        guard case .string(let text) = node else { throw damaged("\(key) is no text") }
        return try leaf(key, text, tensors)
      }
      var values: [String: StateValue] = [:]
      for (key, node) in members {
        values[key.hasPrefix("$$") ? String(key.dropFirst()) : key] = try value(node, tensors)
      }
      return .object(values)
    }
  }

  private static func leaf(
    _ key: String, _ text: String, _ tensors: [String: Tensor]
  ) throws(CheckpointError) -> StateValue {
    switch key {
    case "$tensor":
      guard let tensor = tensors[text] else { throw damaged("there is no tensor '\(text)'") }
      return .tensor(tensor)
    case "$real":
      guard let value = Double(text) else { throw damaged("'\(text)' is no number") }
      return .real(value)
    case "$bits":
      guard let bits = UInt64(text, radix: 16) else { throw damaged("'\(text)' are no bits") }
      return .real(Double(bitPattern: bits))
    case "$data":
      guard let bytes = Base64.decode(text) else { throw damaged("'\(key)' is no base64") }
      return .data(bytes)
    default:
      throw CheckpointError(.newerVersion, operation: "read image", what: "unknown kind of value \(key)")
    }
  }
}
