import Checkpoints
import Glibc
import POSIX
import Reporting
import Storage
import Synchronization
import SystemPackage
import Testing

/// A local directory, on another filesystem than the checkpoints.
@Suite struct DirectoryTests {
  /// On tmpfs.
  private static func storage() throws -> (Place, DirectoryStorage) {
    let elsewhere = try Place(below: "/dev/shm")
    return (elsewhere, DirectoryStorage(elsewhere.path("store")))
  }

  @Test func checkpointReturnsWithTheSameBytes() throws {
    let place = try Place()
    let (elsewhere, storage) = try Self.storage()
    defer { withExtendedLifetime(elsewhere) {} }
    #expect(try storage.list(isCancelled: never) == StorageListing())
    let source = try place.publish(step: 5, floats: 1 << 20)
    let seen = Mutex<[Transfer.Progress]>([])
    try storage.save(
      source, as: key("a/step-5"), Transfer(progress: { progress in seen.withLock { $0.append(progress) } }))
    let progress = seen.withLock { $0 }
    let total = try contents(source).values.reduce(0) { $0 + UInt64($1.count) }
    #expect(progress.last == .init(completedBytes: total, totalBytes: total) && progress.count > 3)
    #expect(progress.map(\.completedBytes) == progress.map(\.completedBytes).sorted())
    let listed = try storage.list(isCancelled: never)
    #expect(
      listed.checkpoints == [
        StoredCheckpoint(
          key: key("a/step-5"), manifest: place.source.verify("step-5", thorough: true).manifest, bytes: total
        )
      ] && listed.unfinished == [])
    try storage.load(key("a/step-5"), into: place.path("new/step-5"), Transfer())
    #expect(try contents(place.path("new/step-5")) == contents(source))
    let again = #expect(throws: StorageError.self) {
      try storage.load(key("a/step-5"), into: place.path("new/step-5"), Transfer())
    }
    #expect(again?.code == .unsupported)
    try storage.remove(key("a/step-5"), isCancelled: never)
    #expect(try storage.list(isCancelled: never) == StorageListing())
    try storage.remove(key("a/step-5"), isCancelled: never)
    let missing = #expect(throws: StorageError.self) {
      try storage.load(key("a/step-5"), into: place.path("x"), Transfer())
    }
    #expect(missing?.code == .missing)
  }

  @Test func sameCheckpointIsNotWrittenTwiceAndAnotherReplacesIt() throws {
    let place = try Place()
    let (elsewhere, storage) = try Self.storage()
    let (first, second) = (try place.publish(step: 5), try place.publish(step: 6))
    func inode() throws -> String {
      try OpenFile(elsewhere.path("store/checkpoints/a/x/state.safetensors"), .readOnly).identity()
    }
    try storage.save(first, as: key("a/x"), Transfer())
    let before = try inode()
    try storage.save(first, as: key("a/x"), Transfer())
    #expect(try inode() == before)
    try storage.save(second, as: key("a/x"), Transfer())
    #expect(try contents(elsewhere.path("store/checkpoints/a/x")) == contents(second))
    // A damaged one is written again.
    try flip(elsewhere.path("store/checkpoints/a/x/state.safetensors"), at: 100)
    try storage.save(second, as: key("a/x"), Transfer())
    #expect(try contents(elsewhere.path("store/checkpoints/a/x")) == contents(second))
  }

  @Test func damageIsDetected() throws {
    let place = try Place()
    let (elsewhere, storage) = try Self.storage()
    let source = try place.publish(step: 5)
    try storage.save(source, as: key("a/step-5"), Transfer())
    let stored = elsewhere.path("store/checkpoints/a/step-5")
    try flip(stored.appending("state.safetensors"), at: 100)
    let loading = #expect(throws: StorageError.self) {
      try storage.load(key("a/step-5"), into: place.path("x"), Transfer())
    }
    #expect(loading?.code == .damaged && loading?.what.hasPrefix("state.safetensors: digest ") == true)
    #expect(try FileSystem.list(place.root) == ["checkpoints"])
    truncate(stored.appending("state.safetensors").string, 10)
    #expect(
      try storage.list(isCancelled: never).checkpoints.first?.fault?.hasPrefix("state.safetensors: ") == true)
    try flip(source.appending("state.safetensors"), at: 100)
    let saving = #expect(throws: StorageError.self) { try storage.save(source, as: key("a/y"), Transfer()) }
    #expect(saving?.code == .damaged)
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.key.text) == ["a/step-5"])
  }

  @Test func cancelledSaveIsNotListedAndMissingSpaceIsReported() throws {
    let place = try Place()
    let (elsewhere, storage) = try Self.storage()
    defer { withExtendedLifetime(elsewhere) {} }
    let source = try place.publish(step: 5, floats: 1 << 20)
    let completed = Atomic<UInt64>(0)
    let error = #expect(throws: StorageError.self) {
      try storage.save(
        source, as: key("a/step-5"),
        Transfer(
          progress: { completed.store($0.completedBytes, ordering: .relaxed) },
          isCancelled: { completed.load(ordering: .relaxed) > 1 << 20 }))
    }
    #expect(error?.code == .cancelled)
    #expect(try storage.list(isCancelled: never) == StorageListing(unfinished: [key("a/step-5")]))
    try storage.remove(key("a/step-5"), isCancelled: never)
    #expect(try storage.list(isCancelled: never) == StorageListing())
    #if DEBUG
    let root = elsewhere.root.string
    let full = #expect(throws: StorageError.self) {
      let isFull: Faults.Injector = { $0 == "write" && $1?.string.contains(root) == true ? .noSpace : nil }
      try Faults.with(isFull) { try storage.save(source, as: key("a/step-5"), Transfer()) }
    }
    #expect(full?.code == .noRoom)
    #expect(try storage.list(isCancelled: never).checkpoints == [])
    #endif
  }

  @Test func otherFilesAreNotListedAndInvalidOnesAreNotSaved() throws {
    let place = try Place()
    let (elsewhere, storage) = try Self.storage()
    let source = try place.publish(step: 5)
    try storage.save(source, as: key("a/step-5"), Transfer())
    try FileSystem.makeDirectories(elsewhere.path("store/checkpoints/a/notes/deep"))
    symlink(
      elsewhere.path("store/checkpoints/a/step-5").string, elsewhere.path("store/checkpoints/link").string)
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.key.text) == ["a/step-5"])
    symlink("/etc/passwd", source.appending("link").string)
    #expect(throws: StorageError.self) { try storage.save(source, as: key("a/x"), Transfer()) }
    unlink(source.appending("link").string)
    try FileSystem.replace(source.appending("notes.part-00001-of-00002"), with: [1], durable: false)
    let error = #expect(throws: StorageError.self) { try storage.save(source, as: key("a/x"), Transfer()) }
    #expect(error?.code == .unsupported)
  }

  @Test func smallObjectsAreReplaced() throws {
    let (elsewhere, storage) = try Self.storage()
    defer { withExtendedLifetime(elsewhere) {} }
    #expect(try storage.objects(isCancelled: never) == [])
    #expect(try storage.read(key("heartbeat"), isCancelled: never) == nil)
    try storage.write([1], as: key("heartbeat"), isCancelled: never)
    try storage.write([2], as: key("heartbeat"), isCancelled: never)
    try storage.write([3], as: key("a/history"), isCancelled: never)
    #expect(try storage.read(key("heartbeat"), isCancelled: never) == [2])
    #expect(try storage.objects(isCancelled: never).map(\.text) == ["a/history", "heartbeat"])
    try storage.removeObject(key("heartbeat"), isCancelled: never)
    try storage.removeObject(key("heartbeat"), isCancelled: never)
    #expect(try storage.objects(isCancelled: never).map(\.text) == ["a/history"])
  }
}
