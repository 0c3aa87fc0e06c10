import Glibc
import POSIX
import Reporting
public import SystemPackage
public import TrainerProtocol

/// Checkpoints in a directory of their own. Invariants:
/// - A directory without a leading dot is a whole checkpoint: it got its name by a rename after all
///   its files and itself were fsynced. What has a leading dot is unfinished, or going away.
/// - Nothing outside of the directory is ever written or removed: names are checked, symbolic links
///   not followed.
/// - After a failed fsync a file is never tried again: its pages may be marked clean. The next try
///   writes new files.
public struct LocalCheckpoints: CheckpointStorage {
  public static let stateName = "state.safetensors"
  public static let manifestName = "manifest.json"
  public static let digestsName = "SHA256SUMS"
  static let publishingPrefix = ".publishing-"
  static let removingPrefix = ".removing-"

  public let directory: FilePath
  private let followsLink: Bool
  let parent: OpenFile?

  /// Told of every piece of a file that is read or written, with its bytes, on the thread that does it.
  let progress: (@Sendable (Int) -> Void)?

  /// - Parameters:
  ///   - directory: made with the first checkpoint.
  ///   - parent: the directory above it, opened: as long as its path leads elsewhere, nothing is written or
  ///     removed there.
  ///   - followsLink: whether it may be a symbolic link to one; of a directory that the user names.
  public init(
    directory: FilePath, below parent: OpenFile? = nil, followsLink: Bool = false,
    progress: (@Sendable (Int) -> Void)? = nil
  ) {
    self.parent = parent
    self.directory = directory
    self.followsLink = followsLink
    self.progress = progress
  }

  /// Of a name that `isValid`.
  public func path(of name: String) -> FilePath { directory.appending(name) }

  /// Whether `name` can be a checkpoint's: one component, no leading dot.
  public static func isValid(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && name.utf8.count <= 200
      && name.utf8.allSatisfy { byte in
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
          || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_.=".utf8.contains(byte)
      }
  }

  /// Whether the directory is there.
  /// - Throws: `isMisplaced` when it is something else: nothing of that is changed.
  func isMade() throws(POSIXError) -> Bool {
    if let parent, try !parent.isStillNamed() {
      throw POSIXError("open", path: parent.path, errno: .noSuchFileOrDirectory)
    }
    guard let kind = FileKind.of(directory, followsLink: followsLink) else { return false }
    if kind != .directory { throw POSIXError(misplaced: kind, directory) }
    return true
  }

  /// Names of all checkpoints, damaged ones included.
  public func names() throws(CheckpointError) -> [String] {
    guard FileSystem.exists(directory) else { return [] }
    do {
      return try FileSystem.list(directory).filter {
        Self.isValid($0) && FileKind.of(path(of: $0)) == .directory
      }
    } catch {
      throw CheckpointError("the checkpoints cannot be listed", error)
    }
  }

  // MARK: Publishing

  /// Makes an image a durable checkpoint.
  /// - Parameters:
  ///   - image: page-aligned where it can be, so that it goes to the disk without a copy.
  ///   - draft: all but its files and ranks, which are found out here.
  ///   - isIntact: asked when all of the image was read: whether it was there all the time.
  ///   - isCancelled: asked between chunks.
  ///   - expected: SHA-256 that the image must have, asked for when it is written; nil: none is known.
  /// - Throws: `noRoom`, `io`, `cancelled`; `damaged` for what is not an image, or not the expected one.
  ///   Nothing of it is listed then.
  public func publish(
    image: UnsafeRawBufferPointer, _ draft: Manifest, isIntact: @Sendable () -> Bool = { true },
    isCancelled: @Sendable () -> Bool = { false }, expected: @Sendable () -> String? = { nil }
  ) throws(CheckpointError) -> PublishedCheckpoint {
    try CheckpointPublication(checkpoints: self, image: image, draft: draft)
      .run(isIntact: isIntact, isCancelled: isCancelled, expected: expected)
  }

  // MARK: Verifying

  /// - Parameter thorough: read everything and compare digests; else look at sizes and the manifest.
  public func verify(_ name: String, thorough: Bool) -> Verdict {
    CheckpointVerification(path: path(of: name), name: name, thorough: thorough, progress: progress).run()
  }

  /// As `verify`, and whether it is what is wanted.
  /// - Parameter step: that the store says it is of; nil: any.
  public func verify(_ name: String, of job: JobID, step: UInt64?, thorough: Bool) -> Verdict {
    let verdict = verify(name, thorough: thorough)
    guard let manifest = verdict.manifest else { return verdict }
    if manifest.jobID != job.hexadecimal {
      return .damaged(file: Self.manifestName, what: "belongs to another job")
    }
    if let step, manifest.step != step {
      return .damaged(file: Self.manifestName, what: "is of step \(manifest.step), not \(step)")
    }
    return verdict
  }

  // MARK: Loading

  /// The state of a checkpoint where it lies on disk, and what is known of it.
  /// - Parameter thorough: as for `verify`.
  /// - Throws: `damaged` naming the file, unless it verifies.
  public func load(_ name: String, thorough: Bool = false) throws(CheckpointError) -> LoadedCheckpoint {
    switch verify(name, thorough: thorough) {
    case .damaged(let file, let what):
      throw CheckpointError(
        .damaged, "\(file): \(what)", path: Self.isValid(name) ? path(of: name) : directory,
        hint: "use an older checkpoint")
    case .verified(let manifest):
      let state = path(of: name).appending(Self.stateName)
      do {
        let file = try OpenFile(state, .readOnly)
        return LoadedCheckpoint(
          manifest: manifest, mapping: try MappedFile(file, count: file.size(), access: .readOnly))
      } catch {
        throw CheckpointError("the state cannot be mapped", error)
      }
    }
  }

  // MARK: Removing

  /// Removes a checkpoint: it is out of the list, durably, before its first file goes.
  public func remove(_ name: String) throws(CheckpointError) {
    guard Self.isValid(name), Self.isThere(path(of: name)) else {
      throw CheckpointError(
        .missing, "'\(name)' is not a checkpoint", path: directory)
    }
    let going = directory.appending(Self.removingPrefix + name)
    do {
      _ = try isMade()
      // An earlier removal may have got no further.
      if Self.isThere(going) { try FileSystem.removeTree(going) }
      try FileSystem.rename(path(of: name), to: going)
      try FileSystem.synchronizeDirectory(directory)
      try FileSystem.removeTree(going)
    } catch {
      throw CheckpointError("the checkpoint cannot be removed", error)
    }
  }

  /// Removes what an earlier supervisor left unfinished.
  /// - Throws: the first failure, after having tried them all.
  public func removeLeftovers() throws(CheckpointError) {
    var failure: POSIXError?
    do throws(POSIXError) {
      guard try isMade() else { return }
      for name in try FileSystem.list(directory)
      where name.hasPrefix(Self.publishingPrefix) || name.hasPrefix(Self.removingPrefix) {
        do throws(POSIXError) { try FileSystem.removeTree(directory.appending(name)) } catch {
          failure = failure ?? error
        }
      }
    } catch {
      failure = error
    }
    if let failure { throw CheckpointError("an unfinished checkpoint cannot be removed", failure) }
  }

  /// Whether anything has this name, a dangling symbolic link included.
  static func isThere(_ path: FilePath) -> Bool {
    FileKind.of(path) != nil
  }
}
