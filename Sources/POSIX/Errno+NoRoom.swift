public import SystemPackage

extension Errno {
  /// Out of space: the disk or a quota is full, or the file reached its size limit (`ulimit -f`).
  public var isNoRoom: Bool { [.noSpace, .diskQuotaExceeded, .fileTooLarge].contains(self) }
}
