import Glibc
import POSIX
import Reporting
public import SystemPackage
public import TrainerProtocol

/// Checkpoints in a local directory. Invariants:
/// - A directory without a leading dot is a complete checkpoint: it was renamed after it and all its files
///   were fsynced. Directories with a leading dot are unfinished or being removed.
/// - Nothing outside of the directory is written or removed: names are checked, and symbolic links are not
///   followed.
/// - After a failed fsync, a file is not synced again, as its pages may be marked clean. A retry writes new
///   files.
public struct LocalCheckpoints: Sendable {
  public static let stateName = "state.safetensors"
  public static let manifestName = "manifest.json"
  /// The file with the digests of new checkpoints; older ones have `SHA256SUMS`.
  public static let digestsName = Digest.Algorithm.current.sumsName
  static let publishingPrefix = ".publishing-"
  static let removingPrefix = ".removing-"
  /// Of a checkpoint that is being loaded from another storage. It is not removed at the next start, since that
  /// continues the load.
  public static let loadingPrefix = ".loading-"

  public let directory: FilePath
  private let followsLink: Bool
  let parent: OpenFile?

  /// Called with the number of bytes of each chunk that is read or written, on the thread that does it.
  let progress: (@Sendable (Int) -> Void)?

  /// - Parameters:
  ///   - directory: created with the first checkpoint.
  ///   - parent: its opened parent directory. While the path refers to another directory, nothing is written
  ///     or removed.
  ///   - followsLink: whether it may be a symbolic link; for directories that the user specified.
  public init(
    directory: FilePath, below parent: OpenFile? = nil, followsLink: Bool = false,
    progress: (@Sendable (Int) -> Void)? = nil
  ) {
    self.parent = parent
    self.directory = directory
    self.followsLink = followsLink
    self.progress = progress
  }

  /// `name` must be valid.
  public func path(of name: String) -> FilePath { directory.appending(name) }

  /// Whether `name` is a valid checkpoint name: one path component without a leading dot.
  public static func isValid(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && name.utf8.count <= 200
      && name.utf8.allSatisfy { byte in
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
          || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_.=".utf8.contains(byte)
      }
  }

  /// Whether the directory exists.
  /// - Throws: an error with `isMisplaced` if it is not a directory. It is not changed.
  func directoryExists() throws(POSIXError) -> Bool {
    if let parent, try !parent.isStillNamed() {
      throw POSIXError("open", path: parent.path, errno: .noSuchFileOrDirectory)
    }
    guard let kind = FileKind.of(directory, followsLink: followsLink) else { return false }
    if kind != .directory { throw POSIXError(misplaced: kind, directory) }
    return true
  }

  /// Names of all checkpoints, including damaged ones.
  public func names() throws(CheckpointError) -> [String] {
    guard FileSystem.exists(directory) else { return [] }
    do {
      return try FileSystem.list(directory).filter {
        Self.isValid($0) && FileKind.of(path(of: $0)) == .directory
      }
    } catch {
      throw CheckpointError("cannot list the checkpoints", error)
    }
  }

  // MARK: Publishing

  /// Publishes an image as a durable checkpoint.
  /// - Parameters:
  ///   - image: page-aligned if possible, for direct I/O.
  ///   - draft: the manifest without files and ranks, which are added here.
  ///   - name: with the suffix `-v1`, `-v2` … if it is taken; nil: `step-` and the step.
  ///   - isIntact: called after the image was read; whether it was never truncated.
  ///   - isCancelled: called between chunks.
  ///   - expected: the image's required digest, called after writing; nil if unknown.
  /// - Throws: `noRoom`, `io`, `cancelled`; `damaged` if it is not an image or not the expected one. Nothing
  ///   is listed then.
  public func publish(
    image: UnsafeRawBufferPointer, _ draft: Manifest, name: String? = nil,
    isIntact: @Sendable () -> Bool = { true },
    isCancelled: @Sendable () -> Bool = { false }, expected: @Sendable () -> Digest? = { nil }
  ) throws(CheckpointError) -> PublishedCheckpoint {
    try CheckpointPublication(checkpoints: self, image: image, draft: draft, name: name)
      .run(isIntact: isIntact, isCancelled: isCancelled, expected: expected)
  }

  /// Publishes the components of an image that consist of tensors alone, such as a model, as a checkpoint that no
  /// attempt can start from.
  /// - Parameters: as for `publish`; the default name is `step-`, the step and `-weights`.
  /// - Throws: also `missing` if there is no such component.
  public func publishWeights(
    of image: UnsafeRawBufferPointer, _ draft: Manifest, name: String? = nil,
    isIntact: @Sendable () -> Bool = { true }, isCancelled: @Sendable () -> Bool = { false }
  ) throws(CheckpointError) -> PublishedCheckpoint {
    var draft = draft
    draft.weightsOnly = true
    let weights = try WeightsImage(image)
    return try CheckpointPublication(
      checkpoints: self, image: image, weights: weights, draft: draft, name: name
    ).run(isIntact: isIntact, isCancelled: isCancelled, expected: { nil })
  }

  /// Copies files that another program wrote into a durable checkpoint.
  /// - Parameters:
  ///   - draft: the manifest without files.
  ///   - known: the digest of the newest checkpoint; files with the same bytes are not published again.
  ///   - isUnchanged: whether the files are as they were when they were found to be complete.
  ///   - isCancelled: called between chunks.
  /// - Throws: `noRoom`, `io`, `cancelled`. Nothing is listed then.
  public func adopt(
    _ source: AdoptionSource, _ draft: Manifest, name: String, known: Digest?,
    isUnchanged: @Sendable () -> Bool, isCancelled: @Sendable () -> Bool = { false }
  ) throws(CheckpointError) -> AdoptionOutcome {
    try AdoptionPublication(
      checkpoints: self, source: source, draft: draft, name: name, known: known
    ).run(isUnchanged: isUnchanged, isCancelled: isCancelled)
  }

  /// The name of the link to the newest checkpoint.
  public static let lastName = "last"

  /// Makes the link `last` name this checkpoint. It is replaced by a rename, so that it always names one.
  /// - Throws: `last` exists and is not a link.
  public func pointLast(to name: String) throws(CheckpointError) {
    let last = directory.appending(Self.lastName)
    let aside = directory.appending(".\(Self.lastName)")
    do throws(POSIXError) {
      _ = try directoryExists()
      if let kind = FileKind.of(last), kind != .symbolicLink { throw POSIXError(misplaced: kind, last) }
      if Self.pathExists(aside) { try FileSystem.remove(aside) }
      try posix("symlink", aside) {
        aside.withPlatformString { link in name.withCString { symlink($0, link) } }
      }
      try FileSystem.rename(aside, to: last)
      try FileSystem.synchronizeDirectory(directory)
    } catch {
      throw CheckpointError("cannot replace the link '\(Self.lastName)'", error)
    }
  }

  // MARK: Verifying

  /// - Parameter thorough: whether to read all files and compare digests, not only sizes and the manifest.
  public func verify(_ name: String, thorough: Bool) -> Verdict {
    guard Self.isValid(name) else { return .damaged(file: name, what: "invalid checkpoint name") }
    return CheckpointVerification(path: path(of: name), name: name, thorough: thorough, progress: progress)
      .run()
  }

  /// Verifies a checkpoint in any directory: one that is being copied, or in another storage.
  /// - Parameters:
  ///   - name: that it has or will get.
  ///   - isCancelled: called between chunks. The result is then `damaged`.
  public static func verify(
    _ path: FilePath, named name: String, thorough: Bool,
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) -> Verdict {
    CheckpointVerification(
      path: path, name: name, thorough: thorough, progress: nil, isCancelled: isCancelled
    ).run()
  }

  /// Also checks the job and the step.
  /// - Parameter step: its step in the store; nil for any.
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

  /// Maps the state of a checkpoint.
  /// - Parameter thorough: as for `verify`.
  /// - Throws: `damaged` with the file's name if verification fails.
  public func load(_ name: String, thorough: Bool = false) throws(CheckpointError) -> LoadedCheckpoint {
    guard Self.isValid(name) else {
      throw CheckpointError(.damaged, "\(name): invalid checkpoint name", path: directory)
    }
    return try Self.load(at: path(of: name), thorough: thorough)
  }

  /// Maps the state of a checkpoint in any directory, which may have any name.
  public static func load(at path: FilePath, thorough: Bool) throws(CheckpointError) -> LoadedCheckpoint {
    let name = path.lastComponent?.string ?? path.string
    let verdict = CheckpointVerification(path: path, name: name, thorough: thorough, progress: nil).run()
    switch verdict {
    case .damaged(let file, let what):
      throw CheckpointError(
        .damaged, "\(file): \(what)", path: path, hint: "use an older checkpoint")
    case .verified(let manifest):
      let state = path.appending(stateName)
      do {
        let file = try OpenFile(state, .readOnly)
        return LoadedCheckpoint(
          manifest: manifest, mapping: try MappedFile(file, count: file.size(), access: .readOnly))
      } catch {
        throw CheckpointError("cannot map the state", error)
      }
    }
  }

  // MARK: Removing

  /// Removes a checkpoint. It is durably unlisted before its first file is removed.
  public func remove(_ name: String) throws(CheckpointError) {
    guard Self.isValid(name), Self.pathExists(path(of: name)) else {
      throw CheckpointError(
        .missing, "'\(name)' is not a checkpoint", path: directory)
    }
    let going = directory.appending(Self.removingPrefix + name)
    do {
      _ = try directoryExists()
      // Left by an earlier removal that was interrupted.
      if Self.pathExists(going) { try FileSystem.removeTree(going) }
      try FileSystem.rename(path(of: name), to: going)
      try FileSystem.synchronizeDirectory(directory)
      try FileSystem.removeTree(going)
    } catch {
      throw CheckpointError("cannot remove the checkpoint", error)
    }
  }

  /// Removes unfinished checkpoints of earlier supervisors.
  /// - Throws: the first failure, after trying all.
  public func removeLeftovers() throws(CheckpointError) { try remove(where: Self.isLeftover) }

  /// Names of directories that an interrupted process left; of a running job, also those in progress.
  public func leftovers() throws(CheckpointError) -> [String] {
    do {
      return try directoryExists() ? FileSystem.list(directory).filter(Self.isLeftover).sorted() : []
    } catch {
      throw CheckpointError("cannot list the checkpoints", error)
    }
  }

  private static func isLeftover(_ name: String) -> Bool {
    name.hasPrefix(publishingPrefix) || name.hasPrefix(removingPrefix)
  }

  /// Removes what interrupted loads from another storage left. Call this when none will be continued.
  /// - Throws: the first failure, after trying all.
  public func removeUnfinishedLoads() throws(CheckpointError) {
    try remove { $0.hasPrefix(Self.loadingPrefix) }
  }

  private func remove(where isUnfinished: (String) -> Bool) throws(CheckpointError) {
    var failure: POSIXError?
    do throws(POSIXError) {
      guard try directoryExists() else { return }
      for name in try FileSystem.list(directory) where isUnfinished(name) {
        do throws(POSIXError) { try FileSystem.removeTree(directory.appending(name)) } catch {
          failure = failure ?? error
        }
      }
    } catch {
      failure = error
    }
    if let failure { throw CheckpointError("cannot remove an unfinished checkpoint", failure) }
  }

  /// Whether the path exists, including dangling symbolic links.
  static func pathExists(_ path: FilePath) -> Bool {
    FileKind.of(path) != nil
  }
}
