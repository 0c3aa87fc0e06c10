import Reporting

/// Writes the header of a safetensors file: metadata, then name, type, shape and place of each tensor. The format:
/// https://github.com/huggingface/safetensors#format
struct SafetensorsHeader {
  private var json = JSONText()
  /// Size of all tensors so far; each follows the one before.
  private(set) var tensorBytes = 0

  /// - Parameter metadata: writes an object of strings.
  init(_ metadata: (inout JSONText) -> Void) {
    json.raw("{\"__metadata__\":")
    metadata(&json)
  }

  /// Of a state image; see `ImageWriter`.
  init(loop: ImageLoop, state: JSONText) {
    var loopText = JSONText()
    loop.write(to: &loopText)
    self.init { json in
      json.raw("{\"format\":\"holdfast\",")
      json.string(ImageWriter.loopKey)
      json.raw(":")
      json.string(loopText.bytes)
      json.raw(",")
      json.string(ImageWriter.stateKey)
      json.raw(":")
      json.string(state.bytes)
      json.raw("}")
    }
  }

  mutating func add(_ name: String, _ dtype: DType, _ shape: [Int], byteCount: Int) {
    json.raw(",")
    json.string(name)
    json.raw(":{\"dtype\":\"\(dtype.rawValue)\",\"shape\":[")
    json.raw(shape.map(String.init).joined(separator: ","))
    json.raw("],\"data_offsets\":[\(tensorBytes),\(tensorBytes + byteCount)]}")
    tensorBytes += byteCount
  }

  /// The bytes of the file before the first tensor: the header's length, then the header, padded to a multiple of 8
  /// bytes.
  consuming func end() -> [UInt8] {
    json.raw("}")
    while json.bytes.count % 8 != 0 { json.raw(" ") }
    return withUnsafeBytes(of: UInt64(json.bytes.count).littleEndian) { Array($0) } + json.bytes
  }
}
