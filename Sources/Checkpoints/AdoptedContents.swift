/// Part of the manifest of an adopted checkpoint: the file or directory of the trainer of which it is a copy.
public struct AdoptedContents: Hashable, Sendable, Codable {
  public enum Kind: String, Hashable, Sendable, Codable { case file, directory }

  public struct File: Hashable, Sendable, Codable {
    /// In the checkpoint's directory.
    public var file: String
    /// Relative to the directory that was copied; for a file its own name.
    public var path: String

    public init(file: String, path: String) {
      self.file = file
      self.path = path
    }
  }

  /// As the pattern found it; a relative path is relative to the trainer's working directory.
  public var path: String
  public var kind: Kind
  /// RFC 3339, UTC. Of a directory: of its newest file.
  public var modifiedAt: String
  public var files: [File]

  public init(path: String, kind: Kind, modifiedAt: String, files: [File]) {
    self.path = path
    self.kind = kind
    self.modifiedAt = modifiedAt
    self.files = files
  }

  enum CodingKeys: String, CodingKey {
    case path, kind
    case modifiedAt = "modified_at"
    case files
  }

  /// The last component of `path`.
  public var name: String { String(path.split(separator: "/").last ?? "") }

  /// Whether all paths stay inside of the directory that they are copied to.
  var isSafe: Bool {
    !name.isEmpty && name != "." && name != ".."
      && files.allSatisfy { file in
        let parts = file.path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.isEmpty && parts.allSatisfy { !["", ".", ".."].contains($0) }
          && (kind == .directory || parts.count == 1 && file.path == name)
      } && Set(files.map(\.path)).count == files.count && (kind == .directory || files.count == 1)
  }
}
