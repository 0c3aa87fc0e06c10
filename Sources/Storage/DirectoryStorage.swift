import Checkpoints
import Glibc
import POSIX
import Reporting
public import SystemPackage

/// Storage in a local directory, also on another filesystem. The layout is that of `RcloneStorage`, with whole files.
public struct DirectoryStorage: CheckpointStorage, ObjectStorage {
  /// Created by the first save. It may be a symbolic link.
  public let directory: FilePath
  public var name: String { directory.string }

  public init(_ directory: FilePath) { self.directory = directory }

  private var checkpoints: FilePath { directory.appending(RcloneStorage.checkpoints) }
  private var smallObjects: FilePath { directory.appending(RcloneStorage.smallObjects) }

  private func path(_ key: StorageKey) -> FilePath { checkpoints.pushing(FilePath(key.text)) }

  // MARK: Checkpoints

  public func save(_ source: FilePath, as key: StorageKey, _ transfer: Transfer) throws(StorageError) {
    let source = try CheckpointSource(source)
    let meter = ProgressMeter(totalBytes: UInt64(source.bytes), transfer)
    let new = try NewCheckpoint(path(key))
    if try contains(source, at: path(key), transfer.isCancelled) {
      return meter.set(key.text, UInt64(source.bytes))
    }
    if transfer.isCancelled() { throw .cancelled }
    try copy(source, to: new, replacing: true, meter, transfer)
    try new.finish(transfer.isCancelled) { () throws(StorageError) in
      if FileKind.of(path(key)) != nil { try removeComplete(key) }
    }
  }

  public func load(
    _ key: StorageKey, into destination: FilePath, _ transfer: Transfer
  ) throws(StorageError) {
    guard FileSystem.isDirectory(path(key)) else {
      throw StorageError(.missing, "the storage has no such checkpoint", path: path(key))
    }
    let source = try CheckpointSource(path(key))
    let meter = ProgressMeter(totalBytes: UInt64(source.bytes), transfer)
    let new = try NewCheckpoint(destination)
    try copy(source, to: new, replacing: false, meter, transfer)
    try new.finish(transfer.isCancelled)
  }

  /// Whether the checkpoint is stored already and intact.
  private func contains(
    _ source: CheckpointSource, at path: FilePath, _ isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) -> Bool {
    guard FileKind.of(path) == .directory, let stored = try? CheckpointSource(path),
      stored.files == source.files
    else { return false }
    do throws(POSIXError) {
      // The digests of all others are in these files, or in the manifest.
      for name in source.files.keys where source.files[name] ?? 0 < 1 << 20 {
        guard try FileSystem.read(path.appending(name)) == FileSystem.read(source.directory.appending(name))
        else { return false }
      }
    } catch {
      throw StorageError("cannot read the checkpoint", error)
    }
    return LocalCheckpoints.verify(
      path, named: path.lastComponent?.string ?? "", thorough: true, isCancelled: isCancelled
    ).fault == nil
  }

  private func copy(
    _ source: CheckpointSource, to new: NewCheckpoint, replacing: Bool, _ meter: ProgressMeter,
    _ transfer: Transfer
  ) throws(StorageError) {
    try new.prepare(bytes: source.bytes, files: Set(source.files.keys), replacing: replacing)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    for piece in try source.pieces(partBytes: .max / 2) {
      let writer = PieceWriter(try new.open(piece.file, bytes: piece.bytes), piece)
      let reader = try PieceReader(source.directory.appending(piece.file), piece)
      while true {
        if transfer.isCancelled() { throw .cancelled }
        let count = try reader.read(into: buffer)
        if count == 0 { break }
        try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        meter.set(piece.object, UInt64(writer.written))
      }
      try writer.finish()
    }
  }

  public func list(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> StorageListing {
    guard FileSystem.exists(checkpoints) else { return StorageListing() }
    var listing = StorageListing()
    try list(checkpoints, below: "", isCancelled, &listing)
    listing.checkpoints.sort { $0.key < $1.key }
    listing.unfinished.sort()
    return listing
  }

  /// Symbolic links are not followed.
  private func list(
    _ directory: FilePath, below prefix: String, _ isCancelled: Transfer.Cancellation,
    _ listing: inout StorageListing
  ) throws(StorageError) {
    for name in try Self.names(directory) {
      if isCancelled() { throw .cancelled }
      let path = directory.appending(name)
      guard FileKind.of(path) == .directory else { continue }
      if name.hasPrefix(LocalCheckpoints.loadingPrefix) {
        let key = StorageKey(prefix + name.dropFirst(LocalCheckpoints.loadingPrefix.count))
        if let key { listing.unfinished.append(key) }
      } else if let key = StorageKey(prefix + name) {
        if FileKind.of(path.appending(LocalCheckpoints.manifestName)) == nil {
          try list(path, below: prefix + name + "/", isCancelled, &listing)
        } else {
          let verdict = LocalCheckpoints.verify(path, named: name, thorough: false)
          let bytes = (try? CheckpointSource(path)).map { UInt64($0.bytes) }
          listing.checkpoints.append(
            StoredCheckpoint(key: key, manifest: verdict.manifest, bytes: bytes, fault: verdict.fault))
        }
      }
    }
  }

  private static func names(_ directory: FilePath) throws(StorageError) -> [String] {
    do throws(POSIXError) { return try FileSystem.list(directory) } catch {
      throw StorageError("cannot list the storage", error)
    }
  }

  public func remove(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    let aside = NewCheckpoint.aside(of: path(key))
    do throws(POSIXError) {
      if FileKind.of(aside) != nil { try FileSystem.removeTree(aside) }
    } catch {
      throw StorageError("cannot remove the unfinished checkpoint", error)
    }
    if FileKind.of(path(key)) != nil { try removeComplete(key) }
  }

  private func removeComplete(_ key: StorageKey) throws(StorageError) {
    do throws(CheckpointError) {
      try LocalCheckpoints(directory: path(key).removingLastComponent()).remove(key.name)
    } catch {
      throw StorageError(
        .io, error.what, path: error.path, why: error.why, errno: error.errno, hint: error.hint)
    }
  }

  // MARK: Small objects

  private func objectPath(_ key: StorageKey) -> FilePath { smallObjects.pushing(FilePath(key.text)) }

  public func write(
    _ bytes: [UInt8], as key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    let path = objectPath(key)
    do throws(POSIXError) {
      try FileSystem.makeDirectories(path.removingLastComponent(), mode: 0o750)
      try FileSystem.replace(path, with: bytes, durable: true, mode: 0o640)
    } catch {
      throw StorageError("cannot store", error)
    }
  }

  public func read(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) -> [UInt8]? {
    do throws(POSIXError) { return try FileSystem.read(objectPath(key)) } catch {
      if error.errno == .noSuchFileOrDirectory { return nil }
      throw StorageError("cannot read", error)
    }
  }

  public func objects(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> [StorageKey] {
    guard FileSystem.exists(smallObjects) else { return [] }
    var keys: [StorageKey] = []
    var directories = [""]
    while let prefix = directories.popLast() {
      for name in try Self.names(smallObjects.pushing(FilePath(prefix))) {
        guard let key = StorageKey(prefix + name) else { continue }
        switch FileKind.of(objectPath(key)) {
        case .directory: directories.append(prefix + name + "/")
        // Not a temporary file of `write`.
        case .ordinary where !name.hasSuffix(".new"): keys.append(key)
        default: continue
        }
      }
    }
    return keys.sorted()
  }

  public func removeObject(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    do throws(POSIXError) { try FileSystem.remove(objectPath(key)) } catch {
      if error.errno != .noSuchFileOrDirectory { throw StorageError("cannot remove", error) }
    }
  }
}
