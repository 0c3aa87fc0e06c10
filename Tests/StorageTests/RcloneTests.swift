import Checkpoints
import Glibc
import POSIX
import Reporting
import S3Server
import Storage
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// A remote of rclone on a real S3 server.
@Suite struct RcloneTests {
  private static func parts(_ bytes: Int, transfers: Int = 2) -> RcloneStorage.Options {
    var options = RcloneStorage.Options()
    options.partBytes = bytes
    options.transfers = transfers
    return options
  }

  @Test func checkpointReturnsWithTheSameBytes() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let storage = try bucket.storage()
    #expect(try storage.list(isCancelled: never) == StorageListing())
    let source = try place.publish(step: 5)
    let seen = Mutex<[Transfer.Progress]>([])
    try storage.save(
      source, as: key("attempt-1-0a/step-5"),
      Transfer(progress: { progress in seen.withLock { $0.append(progress) } }))
    let total = try contents(source).values.reduce(0) { $0 + UInt64($1.count) }
    #expect(seen.withLock { $0.last } == .init(completedBytes: total, totalBytes: total))
    let another = try bucket.storage()
    let listing = try another.list(isCancelled: never)
    #expect(listing.checkpoints.map(\.key.text) == ["attempt-1-0a/step-5"])
    #expect(listing.checkpoints.first?.manifest == place.source.verify("step-5", thorough: true).manifest)
    #expect(listing.checkpoints.first?.bytes == total && listing.checkpoints.first?.fault == nil)
    #expect(listing.unfinished == [])
    let loaded = place.path("new/step-5")
    try another.load(key("attempt-1-0a/step-5"), into: loaded, Transfer())
    #expect(try contents(loaded) == contents(source))
    #expect(try FileSystem.list(place.path("new")) == ["step-5"])
    try another.remove(key("attempt-1-0a/step-5"), isCancelled: never)
    #expect(try another.list(isCancelled: never) == StorageListing())
    try another.remove(key("attempt-1-0a/step-5"), isCancelled: never)
  }

  @Test func manifestIsStoredLastAndPartsAreJoined() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let storage = try bucket.storage(Self.parts(1000))
    let source = try place.publish(step: 7)
    try storage.save(source, as: key("a/step-7"), Transfer())
    let uploads = bucket.uploads
    #expect(uploads.last == "checkpoints/a/step-7/manifest.json")
    let count = (try contents(source)["state.safetensors"]?.count ?? 0) / 1000 + 1
    #expect(uploads.filter { $0.contains("state.safetensors.part-") }.count == count && count > 4)
    #expect(uploads.contains("checkpoints/a/step-7/state.safetensors.part-00001-of-0000\(count)"))
    try storage.load(key("a/step-7"), into: place.path("step-7"), Transfer())
    #expect(try contents(place.path("step-7")) == contents(source))
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.fault) == [nil])
  }

  @Test func whatIsStoredIsNotUploadedAgain() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 7)
    try bucket.storage(Self.parts(1000)).save(source, as: key("a/step-7"), Transfer())
    let before = bucket.uploads
    try bucket.storage(Self.parts(1000)).save(source, as: key("a/step-7"), Transfer())
    #expect(bucket.uploads == before)
    // With parts of another size, the old ones are replaced.
    try bucket.storage(Self.parts(3000)).save(source, as: key("a/step-7"), Transfer())
    try bucket.storage().load(key("a/step-7"), into: place.path("step-7"), Transfer())
    #expect(try contents(place.path("step-7")) == contents(source))
  }

  @Test func anotherCheckpointUnderTheSameKeyReplacesIt() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let storage = try bucket.storage()
    try storage.save(try place.publish(step: 7), as: key("a/x"), Transfer())
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.step) == [7])
    let other = try place.publish(step: 8)
    try storage.save(other, as: key("a/x"), Transfer())
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.step) == [8])
    try storage.load(key("a/x"), into: place.path("x"), Transfer())
    #expect(try contents(place.path("x")) == contents(other))
  }

  /// The upload is cancelled, or rclone is killed, in its third part. What it left is not listed, and the next one does
  /// not send the first two again.
  @Test(arguments: [false, true]) func interruptionCostsOnePart(isKilled: Bool) throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 9, floats: 1 << 20)
    let options = Self.parts(1 << 20, transfers: 1)
    bucket.set(.slow)
    let completed = Atomic<UInt64>(0)
    let isDue: Transfer.Cancellation = { completed.load(ordering: .relaxed) > 5 << 19 }
    let error = #expect(throws: StorageError.self) {
      try bucket.storage(options).save(
        source, as: key("a/step-9"),
        Transfer(
          progress: { completed.store($0.completedBytes, ordering: .relaxed) },
          isCancelled: {
            guard isDue() else { return false }
            if isKilled { for process in bucket.rcloneProcesses { kill(process, SIGKILL) } }
            return !isKilled
          }))
    }
    #expect(error?.code == (isKilled ? .program : .cancelled))
    bucket.set(.none)
    let listing = try bucket.storage().list(isCancelled: never)
    #expect(listing == StorageListing(unfinished: [key("a/step-9")]))
    let first = bucket.uploads
    #expect(first.filter { $0.contains("part-") }.count == 3)
    try bucket.storage(options).save(source, as: key("a/step-9"), Transfer())
    let second = bucket.uploads.dropFirst(first.count)
    #expect(second.filter { $0.contains("part-00001") || $0.contains("part-00002") } == [])
    // The killed program may have sent all of the third one before.
    #expect(isKilled || second.contains { $0.contains("part-00003") })
    #expect(second.last?.hasSuffix("manifest.json") == true)
    try bucket.storage().load(key("a/step-9"), into: place.path("step-9"), Transfer())
    #expect(try contents(place.path("step-9")) == contents(source))
  }

  @Test func interruptedLoadContinues() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 9, floats: 1 << 20)
    let options = Self.parts(1 << 20, transfers: 1)
    try bucket.storage(options).save(source, as: key("a/step-9"), Transfer())
    let completed = Atomic<UInt64>(0)
    let error = #expect(throws: StorageError.self) {
      try bucket.storage(options).load(
        key("a/step-9"), into: place.path("step-9"),
        Transfer(
          progress: { completed.store($0.completedBytes, ordering: .relaxed) },
          isCancelled: { completed.load(ordering: .relaxed) > 2 << 20 }))
    }
    #expect(error?.code == .cancelled)
    #expect(!FileSystem.exists(place.path("step-9")))
    func reads() -> Int {
      bucket.server.requests(bucket: bucket.name).filter {
        $0.method == "GET" && $0.key.contains("part-0000")
      }.count
    }
    let before = reads()
    #expect(before == 3)
    try bucket.storage(options).load(key("a/step-9"), into: place.path("step-9"), Transfer())
    #expect(reads() == before + 3, "parts 3 to 5, of 4 MiB and a header")
    #expect(try contents(place.path("step-9")) == contents(source))
    #expect(try FileSystem.list(place.root).filter { $0.hasPrefix(".") } == [])
  }

  @Test func smallObjectsAreReplaced() throws {
    let storage = try Bucket().storage()
    #expect(try storage.read(key("heartbeat"), isCancelled: never) == nil)
    try storage.write([1, 2], as: key("heartbeat"), isCancelled: never)
    try storage.write([3], as: key("heartbeat"), isCancelled: never)
    try storage.write([4], as: key("attempt-1/history"), isCancelled: never)
    #expect(try storage.read(key("heartbeat"), isCancelled: never) == [3])
    #expect(try storage.objects(isCancelled: never).map(\.text) == ["attempt-1/history", "heartbeat"])
    try storage.removeObject(key("attempt-1/history"), isCancelled: never)
    try storage.removeObject(key("attempt-1/history"), isCancelled: never)
    #expect(try storage.objects(isCancelled: never).map(\.text) == ["heartbeat"])
    #expect(try storage.list(isCancelled: never) == StorageListing())
  }

  /// A remote without hashes is read back instead.
  @Test func remoteWithoutHashesIsVerifiedByReading() throws {
    let (place, port) = (try Place(), 40_000 + Int(getpid()) % 20_000)
    let directory = place.path("served")
    try FileSystem.makeDirectories(directory)
    let served = try Served(["webdav", "--addr", "127.0.0.1:\(port)", directory.string], port: port)
    defer { served.stop() }
    let environment = [
      "PATH=/usr/bin:/bin", "RCLONE_CONFIG_D_TYPE=webdav", "RCLONE_CONFIG_D_URL=http://127.0.0.1:\(port)",
      "RCLONE_CONFIG_D_VENDOR=other",
    ]
    let storage = RcloneStorage(
      try RcloneRemote("d:jobs/job"), environment: environment, options: Self.parts(1000))
    let source = try place.publish(step: 5)
    try storage.save(source, as: key("a/step-5"), Transfer())
    try storage.load(key("a/step-5"), into: place.path("step-5"), Transfer())
    #expect(try contents(place.path("step-5")) == contents(source))
    // A part that was changed there is found by reading and replaced.
    let part = directory.appending("jobs/job/checkpoints/a/step-5/state.safetensors.part-00002-of-00005")
    try flip(part, at: 100)
    #expect(throws: StorageError.self) {
      try storage.load(key("a/step-5"), into: place.path("damaged"), Transfer())
    }
    try storage.save(source, as: key("a/step-5"), Transfer())
    try storage.load(key("a/step-5"), into: place.path("again"), Transfer())
    #expect(try contents(place.path("again")) == contents(source))
  }
}
