import Reporting

/// The header of a safetensors file: 8 bytes of its length (little-endian), then JSON, then the
/// tensors' bytes in the order of their offsets, without a gap. Total: any bytes are one or throw.
struct ImageHeader {
  struct Entry {
    var name: String
    var dtype: DType
    var shape: [Int]
    /// In the bytes after the header.
    var range: Range<Int>
  }

  /// In the order of their bytes.
  var entries: [Entry] = []
  var metadata: [String: String] = [:]
  var dataStart: Int

  /// Header that is read at most, in bytes; the limit of the format's own reader.
  static let largest = 100_000_000

  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard bytes.count >= 8 else { throw .damaged("\(bytes.count) bytes are no image") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(min(Self.largest, bytes.count - 8)) else {
      throw .damaged("its header has \(length) bytes, which is too long or cut off")
    }
    dataStart = 8 + Int(length)
    let document: JSONValue
    do throws(JSONValue.Malformed) {
      document = try JSONValue(UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
    } catch {
      throw .damaged("its header is no JSON: \(error.what) (byte \(error.offset + 8))")
    }
    guard let members = document.object else { throw .damaged("its header is no object") }
    for (name, value) in members {
      if name == "__metadata__" {
        metadata = try Self.metadata(value)
      } else {
        entries.append(try Self.entry(name, value))
      }
    }
    // An empty tensor begins where its neighbour does, and comes before it.
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
    guard let members = value.object else { throw .damaged("its metadata are no object") }
    var strings: [String: String] = [:]
    for (key, value) in members {
      guard let text = value.string else { throw .damaged("its metadata '\(key)' are no text") }
      strings[key] = text
    }
    return strings
  }

  private static func entry(_ name: String, _ value: JSONValue) throws(CheckpointError) -> Entry {
    guard let members = value.object, let type = members["dtype"]?.string,
      let extents = members["shape"]?.array, let offsets = members["data_offsets"]?.array,
      offsets.count == 2, let begin = offsets[0].count, let end = offsets[1].count, begin <= end
    else { throw .damaged("'\(name)' is no tensor") }
    guard let dtype = DType(rawValue: type) else {
      throw CheckpointError(
        .unsupported, "'\(name)' has the unknown type \(type)")
    }
    var size = dtype.bytes
    var shape: [Int] = []
    for extent in extents {
      guard let extent = extent.count else { throw .damaged("'\(name)' has an impossible shape") }
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw .damaged("'\(name)' has an impossible shape") }
      size = product
      shape.append(extent)
    }
    guard end - begin == size else {
      throw .damaged("'\(name)' has \(end - begin) bytes; its shape needs \(size)")
    }
    guard begin % dtype.bytes == 0 else { throw .damaged("'\(name)' is not aligned to its elements") }
    return Entry(name: name, dtype: dtype, shape: shape, range: begin..<end)
  }
}
