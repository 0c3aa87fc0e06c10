import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// Loads one checkpoint: reads the parts of its files that an interrupted load did not leave, joins and verifies them.
struct RcloneDownload: Sendable {
  let rclone: Rclone
  /// Of the checkpoint, below the remote.
  let path: String
  let destination: NewCheckpoint
  /// That the remote computes.
  let hash: ContentHash.Algorithm?
  let options: RcloneStorage.Options
  let throttle: Throttle
  let transfer: Transfer

  func run() throws(StorageError) {
    let objects = try rclone.list(path, hash: hash, isCancelled: transfer.isCancelled)
    let files = StoredFiles(
      objects.filter { !$0.key.contains("/") }.mapValues(\.bytes), expected: try expectedSizes(objects))
    let meter = ProgressMeter(totalBytes: UInt64(files.bytes), transfer)
    let left = try destination.prepare(bytes: files.bytes, files: Set(files.files.keys))
    var opened: [String: OpenFile] = [:]
    for name in files.files.keys {
      opened[name] = try destination.open(name, bytes: files.bytes(of: name) ?? 0)
    }
    let pieces = files.files.values.joined().sorted { ($1.bytes, $0.object) < ($0.bytes, $1.object) }
    try Workers.forEach(pieces, threads: options.transfers) {
      [self, opened] piece, hasFailed throws(StorageError) in
      guard let file = opened[piece.file], piece.bytes > 0 else { return }
      let isCancelled = { transfer.isCancelled() || hasFailed() }
      // What the hash of the remote does not confirm is read again; the digests decide in the end.
      if left.contains(piece.file), let hash, let expected = objects[piece.object]?.hash {
        let reader = try PieceReader(file.path, piece)
        if try reader.hash(hash, isCancelled) == expected {
          return meter.set(piece.object, UInt64(piece.bytes))
        }
      }
      try Repetition.run(isCancelled) { () throws(StorageError) in try read(piece, file, meter, isCancelled) }
    }
    try destination.finish(transfer.isCancelled)
  }

  /// Sizes of the files by the manifest.
  private func expectedSizes(_ objects: [String: Rclone.Object]) throws(StorageError) -> [String: Int] {
    let place = FilePath(rclone.remote.appending(path).description)
    guard objects[LocalCheckpoints.manifestName] != nil else {
      throw StorageError(.missing, "the storage has no such checkpoint, or only a part of it", path: place)
    }
    var text: [UInt8] = []
    try rclone.read("\(path)/\(LocalCheckpoints.manifestName)", isCancelled: transfer.isCancelled) {
      text.append(contentsOf: $0)
    }
    guard let manifest = Manifest.decode(text) else {
      throw StorageError(
        text.isEmpty ? .missing : .damaged, "\(LocalCheckpoints.manifestName): not a manifest", path: place,
        hint: "use an older checkpoint")
    }
    for file in manifest.files
    where objects.keys.allSatisfy({ $0 != file.name && Piece.Part($0)?.file != file.name }) {
      throw StorageError(.damaged, "\(file.name): missing", path: place, hint: "use an older checkpoint")
    }
    return Dictionary(manifest.files.map { ($0.name, Int(clamping: $0.bytes)) }) { one, _ in one }
  }

  private func read(
    _ piece: Piece, _ file: OpenFile, _ meter: ProgressMeter, _ isCancelled: () -> Bool
  ) throws(StorageError) {
    let writer = PieceWriter(file, piece)
    try rclone.read("\(path)/\(piece.object)", isCancelled: isCancelled) { bytes throws(StorageError) in
      try throttle.wait(for: bytes.count, isCancelled)
      try writer.write(bytes)
      meter.set(piece.object, UInt64(writer.written))
    }
    try writer.finish()
  }
}
