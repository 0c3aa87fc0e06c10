import POSIX
import TrainerProtocol

/// Checks that a zip archive is complete: APPNOTE.TXT 6.3.10. Its directory is written last, so an interrupted writer
/// leaves none; a writer that replaces an older archive in place may leave the older one's, whose checksums then differ.
enum ZipArchive {
  private struct Directory {
    var entries: UInt64
    var bytes: UInt64
    var offset: UInt64
    /// Where the record that describes it begins.
    var end: UInt64
  }

  /// Of a directory that is read into memory.
  private static let largestDirectory = 256 << 20
  private static let cutOff = "its zip archive has no directory at its end"

  /// - Parameter thorough: whether to compare the checksums of entries that are not compressed, such as all of torch's.
  /// - Returns: nil: it is complete.
  static func fault(_ reader: FileReader, size: Int, thorough: Bool) throws(POSIXError) -> String? {
    guard let directory = try directory(reader, size: size) else { return cutOff }
    guard directory.bytes <= UInt64(largestDirectory), directory.offset <= directory.end,
      directory.bytes <= directory.end - directory.offset
    else { return "the directory of its zip archive is damaged" }
    let bytes = try reader.bytes(at: Int(directory.offset), count: Int(directory.bytes))
    guard bytes.count == Int(directory.bytes) else { return cutOff }
    var rest = bytes[...]
    var count: UInt64 = 0
    while rest.count >= 46, UInt64(little: rest.prefix(4)) == 0x0201_4b50 {
      guard let entry = Entry(rest) else { return "the directory of its zip archive is damaged" }
      if let fault = try fault(of: entry, reader, dataEnd: directory.offset, thorough: thorough) {
        return fault
      }
      count += 1
      rest = rest.dropFirst(entry.recordBytes)
    }
    return count == directory.entries ? nil : "its zip archive has \(count) of \(directory.entries) entries"
  }

  private static func directory(_ reader: FileReader, size: Int) throws(POSIXError) -> Directory? {
    // A comment of up to 65,535 bytes may follow the record.
    let tail = try reader.bytes(at: max(0, size - 22 - 65535), count: min(size, 22 + 65535))
    guard tail.count >= 22 else { return nil }
    for start in stride(from: tail.count - 22, through: 0, by: -1) {
      guard tail[start] == 0x50, tail[start + 1] == 0x4b, tail[start + 2] == 5, tail[start + 3] == 6,
        start + 22 + Int(UInt64(little: tail[start + 20..<start + 22])) == tail.count
      else { continue }
      let end = size - tail.count + start
      let found = Directory(
        entries: UInt64(little: tail[start + 10..<start + 12]),
        bytes: UInt64(little: tail[start + 12..<start + 16]),
        offset: UInt64(little: tail[start + 16..<start + 20]), end: UInt64(end))
      guard found.entries == 0xffff || found.bytes == 0xffff_ffff || found.offset == 0xffff_ffff else {
        return found
      }
      return try largeDirectory(reader, end: end) ?? found
    }
    return nil
  }

  /// The record of an archive above 4 GiB or 65,534 entries, which a locator before the ordinary record names.
  private static func largeDirectory(_ reader: FileReader, end: Int) throws(POSIXError) -> Directory? {
    guard end >= 20 else { return nil }
    let locator = try reader.bytes(at: end - 20, count: 20)
    guard UInt64(little: locator.prefix(4)) == 0x0706_4b50 else { return nil }
    let place = UInt64(little: locator[8..<16])
    guard place <= UInt64(end) else { return nil }
    let record = try reader.bytes(at: Int(place), count: 56)
    guard record.count == 56, UInt64(little: record.prefix(4)) == 0x0606_4b50 else { return nil }
    return Directory(
      entries: UInt64(little: record[32..<40]), bytes: UInt64(little: record[40..<48]),
      offset: UInt64(little: record[48..<56]), end: place)
  }

  private struct Entry {
    var isStored: Bool
    var checksum: UInt32
    var bytes: UInt64
    var offset: UInt64
    var recordBytes: Int

    /// - Parameter record: of the directory; at least 46 bytes.
    init?(_ record: ArraySlice<UInt8>) {
      let start = record.startIndex
      func number(_ offset: Int, _ count: Int) -> UInt64 {
        UInt64(little: record[start + offset..<start + offset + count])
      }
      isStored = number(10, 2) == 0
      checksum = UInt32(number(16, 4))
      bytes = number(20, 4)
      let whole = number(24, 4)
      offset = number(42, 4)
      let (nameBytes, extraBytes) = (Int(number(28, 2)), Int(number(30, 2)))
      recordBytes = 46 + nameBytes + extraBytes + Int(number(32, 2))
      guard recordBytes <= record.count else { return nil }
      var extra = record[start + 46 + nameBytes..<start + 46 + nameBytes + extraBytes]
      while extra.count >= 4 {
        let length = Int(UInt64(little: extra.dropFirst(2).prefix(2)))
        guard extra.count >= 4 + length else { return nil }
        var field = extra.dropFirst(4).prefix(length)
        // Numbers that do not fit into the record, in this order, each only if it is needed.
        if UInt64(little: extra.prefix(2)) == 1 {
          func next() -> UInt64 {
            defer { field = field.dropFirst(8) }
            return UInt64(little: field.prefix(8))
          }
          if whole == 0xffff_ffff { _ = next() }
          if bytes == 0xffff_ffff { bytes = next() }
          if offset == 0xffff_ffff { offset = next() }
        }
        extra = extra.dropFirst(4 + length)
      }
    }
  }

  private static func fault(
    of entry: Entry, _ reader: FileReader, dataEnd: UInt64, thorough: Bool
  ) throws(POSIXError) -> String? {
    let damaged = "an entry of its zip archive is damaged"
    guard entry.offset <= dataEnd, dataEnd - entry.offset >= 30 else { return damaged }
    let head = try reader.bytes(at: Int(entry.offset), count: 30)
    guard head.count == 30, UInt64(little: head.prefix(4)) == 0x0403_4b50 else { return damaged }
    let start =
      entry.offset + 30 + UInt64(little: head[26..<28]) + UInt64(little: head[28..<30])
    guard start <= dataEnd, entry.bytes <= dataEnd - start else { return damaged }
    guard thorough, entry.isStored else { return nil }
    var checksum: UInt32 = 0
    let isWhole = try reader.forEachChunk(at: Int(start), count: Int(entry.bytes)) {
      checksum = CRC32.checksum($0, checksum)
    }
    return isWhole && checksum == entry.checksum ? nil : "\(damaged): its checksum differs"
  }
}
