import Glibc
import POSIX
import Reporting
import SystemPackage

/// Whether a file that another program wrote is complete, as far as its format shows. Formats: the zip archive of
/// `torch.save` and NumPy (APPNOTE.TXT 6.3.10), safetensors, HDF5 (File Format Specification 3.0). Of any other file
/// only an empty or blank one is known to be incomplete.
public struct FileCompleteness: Hashable, Sendable {
  /// Words that describe the format; nil: unknown.
  public var format: String?
  /// What is missing; nil: nothing that the format shows.
  public var fault: String?
  /// The format shows that nothing is missing.
  public var isProven = false

  /// - Parameters:
  ///   - name: whose suffix says what the file should be.
  ///   - thorough: whether to read all of it, to compare the checksums of a zip archive.
  public init(of file: OpenFile, named name: String, thorough: Bool) throws(POSIXError) {
    let reader = FileReader(file)
    let size = try file.size()
    let head = try reader.bytes(at: 0, count: min(size, 512))
    if size == 0 {
      fault = "it is empty"
    } else if head.allSatisfy({ $0 == 0 }) {
      // As a file of which only the size was written before a power loss.
      fault = "it begins with zeros"
    } else if name.hasSuffix(".safetensors") {
      format = "safetensors"
      fault = try Self.faultOfTensors(reader, size: size)
      isProven = true
    } else if head.starts(with: Self.zip) {
      format = "zip archive"
      fault = try ZipArchive.fault(reader, size: size, thorough: thorough)
      isProven = true
    } else if head.starts(with: Self.hdf5) {
      format = "HDF5"
      fault = Self.faultOfHDF5(head, size: size)
    } else if [Self.zip, Self.hdf5].contains(where: { $0.starts(with: head) }) {
      fault = "it is cut off"
    }
  }

  // The first bytes of each format.
  private static let zip: [UInt8] = [0x50, 0x4b, 0x03, 0x04]
  private static let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

  private static func faultOfTensors(_ reader: FileReader, size: Int) throws(POSIXError) -> String? {
    guard size >= 8 else { return "its safetensors header is cut off" }
    let length = UInt64(little: try reader.bytes(at: 0, count: 8)[...])
    guard length <= UInt64(min(ImageHeader.largest, size - 8)) else {
      return "its safetensors header is cut off"
    }
    let header = try reader.bytes(at: 8, count: Int(length))
    guard let members = header.withUnsafeBytes({ try? JSONValue($0) })?.object else {
      return "its safetensors header is damaged"
    }
    var end = 0
    for (name, value) in members where name != "__metadata__" {
      guard let offsets = value.object?["data_offsets"]?.array, offsets.count == 2,
        let last = offsets[1].count
      else { return "its safetensors header is damaged" }
      end = max(end, last)
    }
    let data = size - 8 - Int(length)
    return data == end ? nil : "it has \(data) bytes of tensors, not \(end)"
  }

  /// The superblock has the address of the file's end.
  private static func faultOfHDF5(_ head: [UInt8], size: Int) -> String? {
    guard head.count > 64 else { return "its HDF5 superblock is cut off" }
    let version = head[8]
    let width = Int(version < 2 ? head[13] : head[9])
    guard [2, 4, 8].contains(width), version <= 3 else { return nil }
    let start = (version == 0 ? 24 : version == 1 ? 28 : 12) + 2 * width
    let end = UInt64(little: head[start..<start + width])
    return end <= UInt64(size) ? nil : "it has \(size) of \(end) bytes"
  }
}
