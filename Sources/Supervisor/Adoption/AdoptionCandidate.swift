import Checkpoints
import Glibc
import JobStore
import POSIX
import SystemPackage

/// A file or directory that the pattern matches, as it is now.
struct AdoptionCandidate: Hashable, Sendable {
  struct File: Hashable, Sendable {
    /// In the directory; of a single file its name.
    var path: String
    var source: FilePath
    var device: UInt64
    var inode: UInt64
    var bytes: UInt64
    var modifiedNs: UInt64
  }

  var path: String
  var kind: AdoptedContents.Kind
  var files: [File]

  var modifiedNs: UInt64 { files.map(\.modifiedNs).max() ?? 0 }
  var bytes: UInt64 { files.reduce(0) { $0 &+ $1.bytes } }

  /// As the store records it.
  var record: AdoptedFile {
    AdoptedFile(path: path, isDirectory: kind == .directory, modifiedAtNs: modifiedNs, bytes: bytes)
  }

  var source: AdoptionSource {
    AdoptionSource(
      path: path, kind: kind, modifiedAt: Timestamp.text(modifiedNs),
      files: files.map { .init(path: $0.path, source: $0.source) })
  }

  /// Why it is not used, whatever it contains.
  struct Unusable: Error {
    var why: String
  }

  /// - Returns: nil: there is nothing, or nothing that could be a checkpoint.
  init?(_ path: String, marker: String) throws(Unusable) {
    self.path = path
    files = []
    let place = FilePath(path)
    var status = stat()
    guard let name = place.lastComponent?.string, !AdoptedFiles.isOwn(name),
      path.withCString({ lstat($0, &status) }) == 0
    else { return nil }
    switch FileKind.of(place) {
    case .ordinary:
      kind = .file
      files = [try Self.file(name, place, status)]
    case .directory:
      kind = .directory
      try Self.collect(place, below: "", into: &files)
      guard files.contains(where: { $0.path == marker }) else { throw Unusable(why: "it has no \(marker)") }
    case nil: return nil
    case let kind?: throw Unusable(why: "it is \(kind.rawValue)")
    }
  }

  private static let mostFiles = 10_000

  private static func collect(
    _ directory: FilePath, below prefix: String, into files: inout [File]
  ) throws(Unusable) {
    guard let names = try? FileSystem.list(directory) else { throw Unusable(why: "it cannot be read") }
    for name in names where !AdoptedFiles.isOwn(name) {
      let (path, place) = (prefix + name, directory.appending(name))
      var status = stat()
      guard place.withPlatformString({ lstat($0, &status) }) == 0 else {
        throw Unusable(why: "\(path) disappeared")
      }
      switch FileKind.of(place) {
      case .ordinary: files.append(try file(path, place, status))
      case .directory: try collect(place, below: path + "/", into: &files)
      default: throw Unusable(why: "\(path) is neither a file nor a directory")
      }
      guard files.count <= mostFiles else { throw Unusable(why: "it has more than \(mostFiles) files") }
    }
  }

  private static func file(_ path: String, _ place: FilePath, _ status: stat) throws(Unusable) -> File {
    // Loading a checkpoint may run code that it contains.
    let user = geteuid()
    guard status.st_uid == user || user == 0 else {
      throw Unusable(why: "\(path) belongs to user \(status.st_uid)")
    }
    let time = status.st_mtim
    return File(
      path: path, source: place, device: UInt64(status.st_dev), inode: UInt64(status.st_ino),
      bytes: UInt64(clamping: status.st_size),
      modifiedNs: UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec))
  }

  /// Whether nothing has changed since.
  var isUnchanged: Bool {
    for file in files {
      var status = stat()
      guard file.source.withPlatformString({ lstat($0, &status) }) == 0,
        let now = try? Self.file(file.path, file.source, status), now == file
      else { return false }
    }
    return true
  }
}
