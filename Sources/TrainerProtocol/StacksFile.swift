import Glibc
import POSIX
public import SystemPackage

/// `stacks-0` in the run directory: untrusted data written by the trainer.
public enum StacksFile {
  public static let name = "stacks-0"
  /// Limit in bytes. The end is used, where Python writes the main thread.
  public static let largestBytes = 40_000

  /// Removes the file of an earlier attempt, or whatever has its name.
  public static func remove(in directory: FilePath) throws(POSIXError) {
    do {
      try FileSystem.removeTree(directory.appending(name))
    } catch {
      if error.errno != .noSuchFileOrDirectory { throw error }
    }
  }

  /// - Returns: its printable text, at most the last `largestBytes`; nil if there is none.
  /// - Throws: `POSIXError` when it cannot be read, or is not an ordinary file.
  public static func read(in directory: FilePath) throws(POSIXError) -> String? {
    let path = directory.appending(name)
    let file: OpenFile
    do {
      file = try OpenFile(path, .readOnly)
    } catch {
      if error.errno == .noSuchFileOrDirectory { return nil }
      throw error
    }
    let size = try file.size()
    try file.seek(to: max(0, size - largestBytes))
    let bytes = try file.read(atMost: largestBytes)
    return text(bytes, isCut: size > largestBytes)
  }

  private static func text(_ bytes: [UInt8], isCut: Bool) -> String? {
    let printable = String(decoding: bytes, as: UTF8.self).unicodeScalars.filter { scalar in
      scalar == "\n" || scalar == "\t" || !scalar.properties.isControl
    }
    var lines = String(String.UnicodeScalarView(printable)).split(
      separator: "\n", omittingEmptySubsequences: false)
    if isCut { lines.removeFirst() }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }
}

extension Unicode.Scalar.Properties {
  /// Whether a terminal might interpret it.
  fileprivate var isControl: Bool { generalCategory == .control || generalCategory == .format }
}
