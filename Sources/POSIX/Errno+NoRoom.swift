public import SystemPackage

extension Errno {
  /// There is no room to write to: the disk or a quota is full, or the file may not grow any further
  /// (`ulimit -f`).
  public var isNoRoom: Bool { [.noSpace, .diskQuotaExceeded, .fileTooLarge].contains(self) }
}
