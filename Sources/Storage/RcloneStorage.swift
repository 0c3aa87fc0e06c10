import Checkpoints
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// Storage of a job in any of the services that rclone supports. The layout is described in *Formats*.
public final class RcloneStorage: CheckpointStorage, ObjectStorage {
  public struct Options: Hashable, Sendable {
    /// Larger files are stored in parts of this size, 1 byte to 5 GiB. An interruption costs the parts in transfer.
    public var partBytes = 256 << 20
    /// Number of objects that are transferred at once.
    public var transfers = 4
    /// Of all transfers together; nil: no limit.
    public var bytesPerSecond: UInt64?
    /// The longest time without progress, at least 1 s. On a slow connection, the last bytes of a part are in the
    /// buffers of the kernel for a while.
    public var timeout = Duration.seconds(120)

    public init() {}
  }

  static let checkpoints = "checkpoints"
  static let smallObjects = "objects"
  static let mostPartBytes = 5 << 30
  /// Few enough that rclone shows no silence for longer than a usual timeout.
  private static let manifestsAtOnce = 500

  public var name: String { rclone.remote.description }

  private let rclone: Rclone
  private let options: Options
  private let throttle: Throttle

  /// What was learned from the remote.
  private struct Knowledge {
    /// Nil: not asked yet.
    var hash: ContentHash.Algorithm??
    /// Manifests by key, with the size that was listed. A key's manifest is read once.
    var manifests: [StorageKey: (bytes: Int, manifest: Manifest)] = [:]
  }

  private let knowledge = Mutex(Knowledge())

  /// - Parameters:
  ///   - remote: of the job: `s3:bucket/jobs` and the job's name.
  ///   - environment: of rclone, `NAME=value`.
  public init(_ remote: RcloneRemote, environment: [String], options: Options = Options()) {
    var options = options
    options.partBytes = min(max(1, options.partBytes), Self.mostPartBytes)
    options.transfers = max(1, options.transfers)
    self.options = options
    rclone = Rclone(remote, environment: environment, timeout: max(.seconds(1), options.timeout))
    throttle = Throttle(bytesPerSecond: options.bytesPerSecond)
  }

  private func hash(_ isCancelled: () -> Bool) throws(StorageError) -> ContentHash.Algorithm? {
    if let known = knowledge.withLock({ $0.hash }) { return known }
    let hash = try rclone.hash(isCancelled: isCancelled)
    knowledge.withLock { $0.hash = .some(hash) }
    return hash
  }

  private static func path(_ key: StorageKey) -> String { "\(checkpoints)/\(key)" }

  // MARK: Checkpoints

  public func save(_ source: FilePath, as key: StorageKey, _ transfer: Transfer) throws(StorageError) {
    let source = try CheckpointSource(source)
    knowledge.withLock { $0.manifests[key] = nil }
    let upload = RcloneUpload(
      rclone: rclone, path: Self.path(key), source: source, hash: try hash(transfer.isCancelled),
      options: options, throttle: throttle, transfer: transfer)
    try upload.run()
  }

  public func load(
    _ key: StorageKey, into destination: FilePath, _ transfer: Transfer
  ) throws(StorageError) {
    let download = RcloneDownload(
      rclone: rclone, path: Self.path(key), destination: try NewCheckpoint(destination),
      hash: try hash(transfer.isCancelled), options: options, throttle: throttle, transfer: transfer)
    try download.run()
  }

  public func list(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> StorageListing {
    let objects = try rclone.list(Self.checkpoints, hash: nil, recursive: true, isCancelled: isCancelled)
    var sizes: [StorageKey: [String: Int]] = [:]
    for (path, object) in objects {
      guard let slash = path.lastIndex(of: "/"), let key = StorageKey(String(path[..<slash])) else {
        continue
      }
      sizes[key, default: [:]][String(path[path.index(after: slash)...])] = object.bytes
    }
    let complete = sizes.filter { $0.value[LocalCheckpoints.manifestName] != nil }
    try readManifests(complete, isCancelled)
    let manifests = knowledge.withLock { knowledge in
      knowledge.manifests = knowledge.manifests.filter { complete[$0.key] != nil }
      return knowledge.manifests
    }
    return StorageListing(
      checkpoints: complete.map { Self.stored($0, $1, manifests[$0]?.manifest) }.sorted { $0.key < $1.key },
      unfinished: sizes.keys.filter { complete[$0] == nil }.sorted())
  }

  private static func stored(
    _ key: StorageKey, _ sizes: [String: Int], _ manifest: Manifest?
  ) -> StoredCheckpoint {
    guard let manifest else {
      return StoredCheckpoint(key: key, fault: "\(LocalCheckpoints.manifestName): missing or not a manifest")
    }
    let expected = Dictionary(manifest.files.map { ($0.name, Int(clamping: $0.bytes)) }) { one, _ in one }
    let files = StoredFiles(sizes, expected: expected)
    var fault: String?
    for (name, bytes) in expected.sorted(by: { $0.key < $1.key }) where fault == nil {
      switch files.bytes(of: name) {
      case nil: fault = "\(name): missing"
      case bytes: break
      case let found?: fault = "\(name): \(found) of \(bytes) bytes"
      }
    }
    return StoredCheckpoint(key: key, manifest: manifest, bytes: UInt64(files.bytes), fault: fault)
  }

  /// Reads the manifests that are not known. One that the remote lists but does not have stays nil, and is read again
  /// next time.
  private func readManifests(
    _ complete: [StorageKey: [String: Int]], _ isCancelled: Transfer.Cancellation
  ) throws(StorageError) {
    let known = knowledge.withLock { $0.manifests.mapValues(\.bytes) }
    let sizes = complete.mapValues { $0[LocalCheckpoints.manifestName] ?? 0 }
    let unknown = sizes.filter { known[$0.key] != $0.value }.keys.sorted()
    for start in stride(from: 0, to: unknown.count, by: Self.manifestsAtOnce) {
      let keys = unknown[start..<min(start + Self.manifestsAtOnce, unknown.count)]
      let texts = try rclone.texts(
        keys.map { "\($0)/\(LocalCheckpoints.manifestName)" }, in: Self.checkpoints, isCancelled: isCancelled)
      knowledge.withLock { knowledge in
        for key in keys {
          let manifest = texts["\(key)/\(LocalCheckpoints.manifestName)"].flatMap { Manifest.decode($0) }
          knowledge.manifests[key] = manifest.map { (sizes[key] ?? 0, $0) }
        }
      }
    }
  }

  public func remove(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    try rclone.remove(LocalCheckpoints.manifestName, in: Self.path(key), isCancelled: isCancelled)
    try rclone.removeDirectory(Self.path(key), isCancelled: isCancelled)
    knowledge.withLock { $0.manifests[key] = nil }
  }

  // MARK: Small objects

  private static let largestObject = 64 << 20

  private static func objectPath(_ key: StorageKey) -> String { "\(smallObjects)/\(key)" }

  public func write(
    _ bytes: [UInt8], as key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    precondition(!bytes.isEmpty, "an empty object cannot be told from a missing one")
    let path = Self.objectPath(key)
    try rclone.write(path, bytes, isCancelled: isCancelled)
    guard try readText(path, isCancelled) == bytes else {
      throw rclone.lost(path, "another object was read back")
    }
  }

  public func read(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) -> [UInt8]? {
    do throws(StorageError) {
      let bytes = try readText(Self.objectPath(key), isCancelled)
      return bytes.isEmpty ? nil : bytes
    } catch {
      if error.code == .missing { return nil }
      throw error
    }
  }

  public func objects(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> [StorageKey] {
    try rclone.list(Self.smallObjects, hash: nil, recursive: true, isCancelled: isCancelled).keys
      .compactMap { StorageKey($0) }.sorted()
  }

  public func removeObject(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    let components = key.text.split(separator: "/").map { String($0) }
    let directory = ([Self.smallObjects] + components.dropLast()).joined(separator: "/")
    try rclone.remove(key.name, in: directory, isCancelled: isCancelled)
  }

  private func readText(_ path: String, _ isCancelled: () -> Bool) throws(StorageError) -> [UInt8] {
    var text: [UInt8] = []
    try rclone.read(path, isCancelled: isCancelled) { bytes throws(StorageError) in
      text.append(contentsOf: bytes)
      guard text.count <= Self.largestObject else {
        throw StorageError(.damaged, "\(path): larger than \(Words.bytes(UInt64(Self.largestObject)))")
      }
    }
    return text
  }
}
