public import SystemPackage

/// The files of another program that are to be copied into a checkpoint.
public struct AdoptionSource: Sendable {
  public struct File: Sendable {
    /// In the adopted directory; of a single file its name.
    public var path: String
    public var source: FilePath

    public init(path: String, source: FilePath) {
      self.path = path
      self.source = source
    }
  }

  /// See `AdoptedContents`.
  public var path: String
  public var kind: AdoptedContents.Kind
  public var modifiedAt: String
  public var files: [File]

  public init(path: String, kind: AdoptedContents.Kind, modifiedAt: String, files: [File]) {
    self.path = path
    self.kind = kind
    self.modifiedAt = modifiedAt
    self.files = files
  }
}
