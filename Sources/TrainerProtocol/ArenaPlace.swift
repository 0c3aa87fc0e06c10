import POSIX
public import SystemPackage

/// Where the slots of the arena are: in the run directory, in memory, or in a directory on disk if they find no room
/// there. A machine that stops may lose what was not written to the disk yet, so each boot has its own directory.
public struct ArenaPlace: Hashable, Sendable {
  private static let diskPrefix = "arena-"

  public let directory: FilePath
  /// nil: there is none.
  public let disk: FilePath?

  public init(_ directory: FilePath, disk: FilePath?) {
    self.directory = directory
    self.disk = disk
  }

  /// - Parameters:
  ///   - state: the job's state directory.
  ///   - boot: the boot id. If it has another form, nothing is staged on disk: images of an earlier boot would not be
  ///     recognized.
  public init(_ directory: FilePath, state: FilePath, boot: String) {
    self.init(directory, disk: Self.isBootID(boot) ? state.appending(Self.diskPrefix + boot) : nil)
  }

  /// The directories on disk of all boots. Nothing else in `state` is one, whatever it begins with.
  public static func onDisk(_ state: FilePath) -> [FilePath] {
    ((try? FileSystem.list(state)) ?? [])
      .filter { $0.hasPrefix(diskPrefix) && isBootID($0.dropFirst(diskPrefix.count)) }
      .map { state.appending($0) }
  }

  /// A UUID in lower case, see random(4).
  private static func isBootID(_ text: some StringProtocol) -> Bool {
    let digits = Set("0123456789abcdef")
    return text.split(separator: "-", omittingEmptySubsequences: false).map(\.count) == [8, 4, 4, 4, 12]
      && text.allSatisfy { $0 == "-" || digits.contains($0) }
  }

  func paths(localRank: UInt32 = 0, slot: UInt32) -> [FilePath] {
    [directory, disk].compactMap { $0.map { ArenaSlot.path(in: $0, localRank: localRank, slot: slot) } }
  }

  /// The newest complete image that a slot contains.
  public func image(slot: UInt32) -> StagedImage? {
    // Both have one only if the trainer died when it had changed the place.
    paths(slot: slot).compactMap(StagedImage.read).max { left, right in
      let (left, right) = (left.description, right.description)
      return (left.attempt, left.step) < (right.attempt, right.step)
    }
  }

  /// The file of a slot that is marked as complete but has no valid header; nil: there is none.
  public func unreadable(slot: UInt32) -> FilePath? {
    paths(slot: slot).first { StagedImage.read($0) == nil && StagedImage.isMarkedComplete($0) }
  }

  /// Space that the slots take in the run directory, in bytes.
  public func allocatedBytes(slotCount: UInt32) -> [UInt64] {
    (0..<slotCount).map { FileSystem.allocatedBytes(ArenaSlot.path(in: directory, slot: $0)) }
  }
}
