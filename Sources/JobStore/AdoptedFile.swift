import Reporting

/// The trainer's file or directory of which a checkpoint is a copy, as it was when it was copied.
public struct AdoptedFile: Hashable, Sendable, Codable {
  /// As the pattern found it; a relative path is relative to the trainer's working directory.
  public var path: String
  public var isDirectory: Bool
  /// CLOCK_REALTIME. Of a directory: of its newest file.
  public var modifiedAtNs: UInt64
  /// Size of all of its files.
  public var bytes: UInt64

  public init(path: String, isDirectory: Bool, modifiedAtNs: UInt64, bytes: UInt64) {
    self.path = path
    self.isDirectory = isDirectory
    self.modifiedAtNs = modifiedAtNs
    self.bytes = bytes
  }

  /// nil: another form.
  init?(_ value: JSONValue) {
    guard let members = value.object, let path = members["path"]?.string,
      case .bool(let isDirectory)? = members["is_directory"],
      let modifiedAtNs = members["modified_at_ns"]?.counter, let bytes = members["bytes"]?.counter
    else { return nil }
    self.init(path: path, isDirectory: isDirectory, modifiedAtNs: modifiedAtNs, bytes: bytes)
  }
}
