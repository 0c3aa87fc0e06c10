import CSystemd
import Glibc

/// Structured entries of journald.
public enum Journal {
  public enum Priority: Int, Sendable {
    case error = 3
    case warning = 4
    case notice = 5
    case info = 6
  }

  /// Whether output to `descriptor` goes to the journal: it is the stream that systemd connected
  /// (`JOURNAL_STREAM` has its device and inode), and was not redirected since.
  public static func isStream(_ descriptor: Int32) -> Bool {
    guard let value = getenv("JOURNAL_STREAM") else { return false }
    let parts = String(cString: value).split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]) else { return false }
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode
  }

  /// Writes one entry.
  /// - Parameter fields: upper-case names (`MESSAGE`, `PRIORITY`, …) and values of any bytes and length.
  /// - Throws: `SystemdError` when journald rejected it. It is not an error if journald is not running:
  ///   sd_journal_send(3).
  public static func send(_ fields: [(name: String, value: String)]) throws(SystemdError) {
    var bytes: [UInt8] = []
    var lengths: [Int] = []
    for field in fields {
      let start = bytes.count
      bytes += field.name.utf8
      bytes.append(UInt8(ascii: "="))
      bytes += field.value.utf8
      lengths.append(bytes.count - start)
    }
    let result = bytes.withUnsafeMutableBytes { bytes in
      var offset = 0
      let parts = lengths.map { length in
        defer { offset += length }
        return iovec(iov_base: bytes.baseAddress?.advanced(by: offset), iov_len: length)
      }
      return sd_journal_sendv(parts, Int32(parts.count))
    }
    if result < 0 { throw SystemdError("sd_journal_sendv", errno: -result) }
  }
}
