import Glibc
import POSIX
public import SystemPackage

/// A back end that keeps published checkpoints. Remote ones come later.
public protocol CheckpointStorage: Sendable {
  func publish(
    image: UnsafeRawBufferPointer, _ manifest: Manifest, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> PublishedCheckpoint
  func names() throws(CheckpointError) -> [String]
  func verify(_ name: String, thorough: Bool) -> Verdict
  func remove(_ name: String) throws(CheckpointError)
}

/// A checkpoint that is durable.
public struct PublishedCheckpoint: Hashable, Sendable {
  public var name: String
  public var manifest: Manifest
  /// All its files together.
  public var bytes: UInt64
  public var sha256: String
}

/// What was found when a checkpoint was looked at.
public enum Verdict: Hashable, Sendable {
  case verified(Manifest)
  /// The file that is wrong, and how.
  case damaged(file: String, what: String)

  public var manifest: Manifest? {
    if case .verified(let manifest) = self { return manifest }
    return nil
  }
}

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

  /// - Parameter directory: made with the first checkpoint.
  public init(directory: FilePath) { self.directory = directory }

  public func path(of name: String) -> FilePath { directory.appending(name) }

  /// Whether `name` can be a checkpoint's: one component, no leading dot.
  public static func isValid(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && name.utf8.count <= 200
      && name.utf8.allSatisfy { byte in
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
          || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_.=".utf8.contains(byte)
      }
  }

  /// Names of all checkpoints, damaged ones included.
  public func names() throws(CheckpointError) -> [String] {
    guard FileSystem.exists(directory) else { return [] }
    do {
      return try FileSystem.list(directory).filter {
        Self.isValid($0) && FileSystem.isDirectory(path(of: $0))
      }
    } catch {
      throw CheckpointError(error, what: "the checkpoints cannot be listed")
    }
  }

  // MARK: Verifying

  /// - Parameter thorough: read everything and compare digests; else look at sizes and the manifest.
  public func verify(_ name: String, thorough: Bool) -> Verdict {
    guard Self.isValid(name) else { return .damaged(file: name, what: "not a checkpoint's name") }
    let path = path(of: name)
    guard FileSystem.isDirectory(path) else { return .damaged(file: name, what: "missing") }
    guard let text = try? FileSystem.read(path.appending(Self.manifestName)) else {
      return .damaged(file: Self.manifestName, what: "missing")
    }
    guard let manifest = Manifest.decode(text) else {
      return .damaged(file: Self.manifestName, what: "truncated or not JSON of a manifest")
    }
    guard manifest.formatVersion <= Manifest.currentVersion else {
      return .damaged(
        file: Self.manifestName, what: "format \(manifest.formatVersion) of a newer holdfast")
    }
    guard let sums = try? FileSystem.read(path.appending(Self.digestsName)) else {
      return .damaged(file: Self.digestsName, what: "missing")
    }
    guard sums == Self.digests(manifest, manifestText: text) else {
      return .damaged(file: Self.manifestName, what: "not what \(Self.digestsName) says")
    }
    for file in manifest.files {
      if let what = fault(in: file, path, thorough: thorough) { return .damaged(file: file.name, what: what) }
    }
    return .verified(manifest)
  }

  private func fault(in file: Manifest.File, _ path: FilePath, thorough: Bool) -> String? {
    guard Self.isValid(file.name) else { return "not a file's name" }
    guard let open = try? OpenFile(path.appending(file.name), O_RDONLY | O_NOFOLLOW),
      let size = try? open.size()
    else { return "missing" }
    guard UInt64(size) == file.bytes else { return "\(size) bytes of \(file.bytes)" }
    guard thorough else { return nil }
    guard let mapping = try? MappedFile(open, count: max(size, 1), access: .readOnly) else {
      return "cannot be read"
    }
    let digest = SHA256.hex(UnsafeRawBufferPointer(rebasing: mapping.bytes[..<size]))
    return digest == file.sha256 ? nil : "digest \(digest.prefix(12))…, expected \(file.sha256.prefix(12))…"
  }

  /// What `sha256sum --check` reads.
  static func digests(_ manifest: Manifest, manifestText: [UInt8]) -> [UInt8] {
    let lines = manifest.files.map { "\($0.sha256)  \($0.name)\n" }
    return Array("\(lines.joined())\(SHA256.hex(manifestText))  \(manifestName)\n".utf8)
  }

  // MARK: Removing

  /// Removes a checkpoint: it is out of the list, durably, before its first file goes.
  public func remove(_ name: String) throws(CheckpointError) {
    guard Self.isValid(name) else {
      throw CheckpointError(
        .missing, operation: "remove", path: directory, what: "'\(name)' is no checkpoint")
    }
    let going = directory.appending(Self.removingPrefix + name)
    do {
      try FileSystem.rename(path(of: name), to: going)
      try FileSystem.synchronizeDirectory(directory)
      try FileSystem.removeTree(going)
    } catch {
      throw CheckpointError(error, what: "the checkpoint cannot be removed")
    }
  }

  /// Removes what an earlier supervisor left unfinished.
  public func removeLeftovers() throws(CheckpointError) {
    guard FileSystem.exists(directory) else { return }
    do {
      for name in try FileSystem.list(directory)
      where name.hasPrefix(Self.publishingPrefix) || name.hasPrefix(Self.removingPrefix) {
        try FileSystem.removeTree(directory.appending(name))
      }
    } catch {
      throw CheckpointError(error, what: "an unfinished checkpoint cannot be removed")
    }
  }
}
