public import SystemPackage

extension Errno {
  /// The disk is full, or it failed: later the same may succeed.
  public var isOfDisk: Bool {
    isNoRoom || [.readOnlyFileSystem, .ioError, .staleNFSFileHandle].contains(self)
  }
}
