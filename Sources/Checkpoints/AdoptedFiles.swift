import Glibc
import POSIX
import Reporting
public import SystemPackage

/// The files of an adopted checkpoint, to be placed where the program that wrote them finds them.
public struct AdoptedFiles: Sendable {
  public let contents: AdoptedContents
  private let directory: FilePath
  private let files: [String: Manifest.File]

  /// - Parameter directory: of the checkpoint, whose manifest was verified.
  /// - Returns: nil for a checkpoint with a state image.
  public init?(_ manifest: Manifest, in directory: FilePath) {
    guard let contents = manifest.adopted, contents.isSafe else { return nil }
    self.contents = contents
    self.directory = directory
    files = Dictionary(manifest.files.map { ($0.name, $0) }) { first, _ in first }
  }

  /// Digest of the whole, as `PublishedCheckpoint` has it.
  public var digest: Digest {
    AdoptionPublication.digest(contents.files.compactMap { files[$0.file] }, contents)
  }

  /// Size of all files.
  public var bytes: UInt64 { contents.files.reduce(0) { $0 &+ (files[$1.file]?.bytes ?? 0) } }

  private func place(_ file: AdoptedContents.File, in path: FilePath) -> FilePath {
    contents.kind == .file ? path : path.appending(file.path)
  }

  /// For another copy of them.
  public var source: AdoptionSource {
    AdoptionSource(
      path: contents.path, kind: contents.kind, modifiedAt: contents.modifiedAt,
      files: contents.files.map { .init(path: $0.path, source: directory.appending($0.file)) })
  }

  /// Whether the file or directory at `path` has the same bytes. Reads all of it.
  public func matches(_ path: FilePath, isCancelled: @Sendable () -> Bool) -> Bool {
    contents.files.allSatisfy { file in
      guard let expected = files[file.file], let found = try? OpenFile(place(file, in: path), .readOnly),
        let size = try? found.size(), UInt64(size) == expected.bytes, let wanted = expected.digest
      else { return false }
      let digest = DigestComputation(wanted.algorithm)
      let isWhole =
        (try? FileReader(found).forEachChunk(at: 0, count: size) { digest.update($0) }) ?? false
      return isWhole && !isCancelled() && digest.finish() == wanted
    }
  }

  /// Copies them to `path`. What is there is renamed, never removed.
  /// - Returns: the new path of what was there; nil: nothing was.
  /// - Throws: `damaged`: the checkpoint itself is.
  public func restore(
    to path: FilePath, isCancelled: @Sendable () -> Bool = { false }
  ) throws(CheckpointError) -> FilePath? {
    let parent = path.removingLastComponent()
    let name = path.lastComponent?.string ?? ""
    let new = parent.appending(".\(name).holdfast-restoring")
    do throws(POSIXError) {
      if !parent.isEmpty { try FileSystem.makeDirectories(parent, mode: 0o777) }
      if FileKind.of(new) != nil { try FileSystem.removeTree(new) }
      if contents.kind == .directory { try FileSystem.makeDirectories(new, mode: 0o777) }
    } catch {
      throw failure(error, path)
    }
    do throws(CheckpointError) {
      for file in contents.files { try copy(file, to: place(file, in: new), isCancelled) }
    } catch {
      try? FileSystem.removeTree(new)
      throw error
    }
    do throws(POSIXError) {
      let aside = FileKind.of(path) == nil ? nil : try Self.setAside(path)
      try FileSystem.rename(new, to: path)
      try FileSystem.synchronizeDirectory(parent.isEmpty ? "." : parent)
      return aside
    } catch {
      throw failure(error, path)
    }
  }

  private func copy(
    _ file: AdoptedContents.File, to path: FilePath, _ isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) {
    do throws(POSIXError) {
      if contents.kind == .directory {
        try FileSystem.makeDirectories(path.removingLastComponent(), mode: 0o777)
      }
      let source = try OpenFile(directory.appending(file.file), .readOnly)
      let expected = files[file.file]?.digest
      let copy = try FileCopy(
        of: source, to: path, mode: 0o666, modifiedNs: Timestamp.nanoseconds(contents.modifiedAt),
        expected?.algorithm ?? .current, isCancelled: isCancelled)
      guard copy.digest == expected else {
        throw POSIXError("read", path: source.path, errno: .ioError)
      }
    } catch {
      throw failure(error, path)
    }
  }

  private func failure(_ error: POSIXError, _ path: FilePath) -> CheckpointError {
    if let found = error.path, found.starts(with: directory) {
      return CheckpointError(.damaged, "\(found.lastComponent?.string ?? ""): cannot be read as written")
    }
    if error.errno == .canceled { return CheckpointError(.cancelled, "cancelled", path: path) }
    return CheckpointError("cannot restore \(path)", error)
  }

  /// Whether a file of this name was put there by `restore` or `setAside`.
  public static func isOwn(_ name: String) -> Bool {
    name.hasPrefix(".") && (name.contains(".holdfast-aside") || name.hasSuffix(".holdfast-restoring"))
  }

  /// Renames a file to a hidden name beside it with another suffix: Python's `pathlib` does not skip hidden files.
  public static func setAside(_ path: FilePath) throws(POSIXError) -> FilePath {
    let parent = path.removingLastComponent()
    let name = ".\(path.lastComponent?.string ?? "").holdfast-aside"
    var number = 1
    var aside = parent.appending(name)
    while FileKind.of(aside) != nil {
      number += 1
      aside = parent.appending("\(name)-\(number)")
    }
    try FileSystem.rename(path, to: aside)
    return aside
  }
}
