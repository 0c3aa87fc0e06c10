import Reporting

/// The header of a safetensors file: 8 bytes of its length (little-endian), then JSON, then the tensors'
/// bytes in the order of their offsets, without gaps. Accepts any bytes.
struct ImageHeader {
  struct Entry {
    var name: String
    var dtype: DType
    var shape: [Int]
    /// Relative to the end of the header.
    var range: Range<Int>
  }

  /// In the order of their bytes.
  var entries: [Entry] = []
  var metadata: [String: String] = [:]
  var dataStart: Int

  /// Maximum size of a header in bytes; the limit of the format's reference implementation.
  static let largest = 100_000_000

  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard bytes.count >= 8 else { throw .damaged("\(bytes.count) bytes are too few for an image") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(min(Self.largest, bytes.count - 8)) else {
      throw .damaged("its header of \(length) bytes is too long or truncated")
    }
    dataStart = 8 + Int(length)
    let document: JSONValue
    do throws(JSONValue.Malformed) {
      document = try JSONValue(UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
    } catch {
      throw .damaged("its header is not JSON: \(error.what) (byte \(error.offset + 8))")
    }
    guard let members = document.object else { throw .damaged("its header is not an object") }
    for (name, value) in members {
      if name == "__metadata__" {
        metadata = try Self.metadata(value)
      } else {
        entries.append(try Self.entry(name, value))
      }
    }
    // An empty tensor is before the neighbour that begins at the same offset.
    entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    var end = 0
    for entry in entries {
      guard entry.range.lowerBound == end else {
        throw .damaged("the bytes of '\(entry.name)' do not follow those of its neighbour")
      }
      end = entry.range.upperBound
    }
    let dataBytes = bytes.count - dataStart
    guard end == dataBytes else { throw .damaged("it has \(dataBytes) bytes of tensors, not \(end)") }
  }

  private static func metadata(_ value: JSONValue) throws(CheckpointError) -> [String: String] {
    guard let members = value.object else { throw .damaged("its metadata is not an object") }
    var strings: [String: String] = [:]
    for (key, value) in members {
      guard let text = value.string else { throw .damaged("its metadata '\(key)' is not a string") }
      strings[key] = text
    }
    return strings
  }

  static func entry(_ name: String, _ value: JSONValue) throws(CheckpointError) -> Entry {
    guard let members = value.object, let type = members["dtype"]?.string,
      let extents = members["shape"]?.array, let offsets = members["data_offsets"]?.array,
      offsets.count == 2, let begin = offsets[0].count, let end = offsets[1].count, begin <= end
    else { throw .damaged("'\(name)' is not a tensor") }
    guard let dtype = DType(rawValue: type) else {
      throw CheckpointError(
        .unsupported, "'\(name)' has the unknown type \(type)")
    }
    var shape: [Int] = []
    for extent in extents {
      guard let extent = extent.count else { throw .damaged("'\(name)' has an impossible shape") }
      shape.append(extent)
    }
    guard let size = dtype.bytes(of: shape) else { throw .damaged("'\(name)' has an impossible shape") }
    guard end - begin == size else {
      throw .damaged("'\(name)' has \(end - begin) bytes; its shape needs \(size)")
    }
    guard begin % dtype.bytes == 0 else { throw .damaged("'\(name)' is not aligned to its elements") }
    return Entry(name: name, dtype: dtype, shape: shape, range: begin..<end)
  }
}
