import Checkpoints
import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage

/// Stores one checkpoint: what is missing of its files, in parts, and when all of it was found at the destination, its
/// manifest.
struct RcloneUpload: Sendable {
  let rclone: Rclone
  /// Of the checkpoint, below the remote.
  let path: String
  let source: CheckpointSource
  /// That the remote computes.
  let hash: ContentHash.Algorithm?
  let options: RcloneStorage.Options
  let throttle: Throttle
  let transfer: Transfer

  func run() throws(StorageError) {
    let ended = Ended()
    defer { ended.isSet.store(true, ordering: .relaxed) }
    // Meanwhile, since both read the same file.
    let verdict = try source.verdict { [transfer] in
      ended.isSet.load(ordering: .relaxed) || transfer.isCancelled()
    }
    var pieces = try source.pieces(partBytes: options.partBytes)
    let manifest = pieces.removeLast()
    let meter = ProgressMeter(totalBytes: UInt64(source.bytes), transfer)
    let present = try rclone.list(path, hash: hash, isCancelled: transfer.isCancelled)
    let isListed = try present[manifest.object].map { object throws(StorageError) in
      let isSame = try contains(object, manifest, transfer.isCancelled)
      // Unlisted before anything of it changes.
      if !isSame { try rclone.remove(manifest.object, in: path, isCancelled: transfer.isCancelled) }
      return isSame
    }
    try removeForeign(present, except: Set(pieces.map(\.object) + [manifest.object]))
    let sent = try send(pieces, present, meter)
    try verify(pieces.filter { sent[$0.object] != nil }, sent)
    if let fault = verdict.value.fault, !transfer.isCancelled() {
      throw StorageError(.damaged, fault, path: source.directory, hint: "store an older checkpoint")
    }
    if transfer.isCancelled() { throw .cancelled }
    if isListed != true {
      _ = try send(manifest, meter, transfer.isCancelled)
      guard try matches(manifest, transfer.isCancelled) else {
        throw rclone.lost("\(path)/\(manifest.object)", "its contents differ")
      }
    }
    meter.set(manifest.object, UInt64(manifest.bytes))
  }

  /// Ends the reading of the source with the upload.
  private final class Ended: Sendable {
    let isSet = Atomic(false)
  }

  /// Removes objects of the same files from an interrupted upload with other parts.
  private func removeForeign(
    _ present: [String: Rclone.Object], except wanted: Set<String>
  ) throws(StorageError) {
    for name in present.keys.sorted() where !wanted.contains(name) && !name.contains("/") {
      guard let part = Piece.Part(name) ?? Optional(Piece.Part(file: name, number: 1, count: 1)),
        source.files[part.file] != nil
      else { continue }
      try rclone.remove(name, in: path, isCancelled: transfer.isCancelled)
    }
  }

  // MARK: Sending

  /// Sends what is missing.
  /// - Returns: hashes of the sent pieces by object; empty texts if there are none.
  private func send(
    _ pieces: [Piece], _ present: [String: Rclone.Object], _ meter: ProgressMeter
  ) throws(StorageError) -> [String: String] {
    let sent = Results()
    try Workers.forEach(pieces, threads: options.transfers) { [self] piece, hasFailed throws(StorageError) in
      let isCancelled = { transfer.isCancelled() || hasFailed() }
      if let object = present[piece.object], try contains(object, piece, isCancelled) {
        meter.set(piece.object, UInt64(piece.bytes))
        return
      }
      let hash = try Repetition.run(isCancelled) { () throws(StorageError) in
        try send(piece, meter, isCancelled)
      }
      sent.hashes.withLock { $0[piece.object] = hash }
    }
    return sent.hashes.withLock { $0 }
  }

  private final class Results: Sendable {
    let hashes = Mutex<[String: String]>([:])
  }

  /// - Returns: the hash of what was sent, or an empty text.
  private func send(
    _ piece: Piece, _ meter: ProgressMeter, _ isCancelled: @escaping () -> Bool
  ) throws(StorageError) -> String {
    let reader = try PieceReader(source.directory.appending(piece.file), piece)
    let digest = hash.flatMap { ContentHash($0) }
    var sent = 0
    try rclone.write("\(path)/\(piece.object)", bytes: piece.bytes, isCancelled: isCancelled) {
      buffer throws(StorageError) in
      let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<throttle.chunk(atMost: buffer.count)])
      try throttle.wait(for: min(chunk.count, piece.bytes - sent), isCancelled)
      let count = try reader.read(into: chunk)
      digest?.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
      meter.set(piece.object, UInt64(sent))
      sent += count
      return count
    }
    meter.set(piece.object, UInt64(piece.bytes))
    return digest?.finish() ?? ""
  }

  // MARK: Verifying

  /// Checks that the remote has what was sent.
  private func verify(_ pieces: [Piece], _ sent: [String: String]) throws(StorageError) {
    if pieces.isEmpty { return }
    let present = try rclone.list(path, hash: hash, isCancelled: transfer.isCancelled)
    try Workers.forEach(pieces, threads: options.transfers) { [self] piece, hasFailed throws(StorageError) in
      let object = present[piece.object]
      guard let object, object.bytes == piece.bytes else {
        throw rclone.lost(
          "\(path)/\(piece.object)",
          object.map { "it has \($0.bytes) of \(piece.bytes) bytes" } ?? "it does not list it")
      }
      if let hash = object.hash, hash == sent[piece.object] { return }
      // Without a hash, or if what the remote calls one is something else, as with some kinds of encryption.
      guard try matches(piece, { transfer.isCancelled() || hasFailed() }) else {
        throw rclone.lost("\(path)/\(piece.object)", "its contents differ")
      }
    }
  }

  /// Whether an object that was there before is this piece.
  private func contains(
    _ object: Rclone.Object, _ piece: Piece, _ isCancelled: () -> Bool
  ) throws(StorageError) -> Bool {
    guard object.bytes == piece.bytes else { return false }
    if let hash, let found = object.hash {
      let reader = try PieceReader(source.directory.appending(piece.file), piece)
      if try reader.hash(hash, isCancelled) == found { return true }
    }
    return try matches(piece, isCancelled)
  }

  /// Reads the object and compares it with the file.
  private func matches(_ piece: Piece, _ isCancelled: () -> Bool) throws(StorageError) -> Bool {
    let reader = try PieceReader(source.directory.appending(piece.file), piece)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var compared = 0
    var isSame = true
    do throws(StorageError) {
      try rclone.read("\(path)/\(piece.object)", isCancelled: isCancelled) { bytes throws(StorageError) in
        try throttle.wait(for: bytes.count, isCancelled)
        var rest = bytes
        while !rest.isEmpty, isSame {
          let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(rest.count, buffer.count)])
          let count = try reader.read(into: chunk)
          isSame = count > 0 && memcmp(chunk.baseAddress!, rest.baseAddress!, count) == 0
          rest = UnsafeRawBufferPointer(rebasing: rest[min(count, rest.count)...])
          compared += count
        }
      }
    } catch {
      if error.code == .missing { return false }
      throw error
    }
    return isSame && compared == piece.bytes
  }
}
