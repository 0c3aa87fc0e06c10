import Glibc
import POSIX
import Reporting
import Storage
import SystemPackage
import Testing

/// A real full disk, as a directory and as a remote of rclone.
@Suite(.enabled(if: geteuid() == 0, "root is needed to mount a small tmpfs"))
struct FullDiskTests {
  /// A tmpfs of its own for one test.
  private final class SmallDisk {
    let place: Place
    var path: FilePath { place.path("disk") }

    init() throws {
      place = try Place()
      try FileSystem.makeDirectories(path)
      try setSize("mode=0700,size=64k", flags: 0)
    }

    func setSize(_ options: String, flags: UInt) throws {
      try posix("mount", path) { path.withPlatformString { mount("tmpfs", $0, "tmpfs", flags, options) } }
    }

    func grow() throws { try setSize("size=4m", flags: UInt(MS_REMOUNT)) }

    deinit { _ = path.withPlatformString { umount2($0, Int32(MNT_DETACH)) } }
  }

  private func storages(_ path: FilePath) throws -> [any CheckpointStorage] {
    [
      DirectoryStorage(path.appending("directory")),
      RcloneStorage(
        try RcloneRemote(path.appending("remote").string),
        environment: ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent"]),
    ]
  }

  @Test func fullDiskIsReportedAndSavingResumesWhenThereIsRoom() throws {
    let (place, disk) = (try Place(), try SmallDisk())
    let source = try place.publish(step: 5, floats: 100_000)
    let storages = try storages(disk.path)
    for storage in storages {
      let error = #expect(throws: StorageError.self) {
        try storage.save(source, as: key("a/step-5"), Transfer())
      }
      #expect(error?.code == .noRoom, "\(String(describing: error))")
      #expect(try storage.list(isCancelled: never).checkpoints == [])
    }
    try disk.grow()
    for storage in storages {
      try storage.save(source, as: key("a/step-5"), Transfer())
      #expect(try storage.list(isCancelled: never).checkpoints.map(\.step) == [5])
    }
  }

  @Test func loadIntoAFullDiskIsReported() throws {
    let (place, disk) = (try Place(), try SmallDisk())
    let source = try place.publish(step: 5, floats: 100_000)
    for storage in try storages(place.path("store")) {
      try storage.save(source, as: key("a/step-5"), Transfer())
      let error = #expect(throws: StorageError.self) {
        try storage.load(key("a/step-5"), into: disk.path.appending("step-5"), Transfer())
      }
      #expect(error?.code == .noRoom)
      #expect(!FileSystem.exists(disk.path.appending("step-5")))
    }
  }
}
