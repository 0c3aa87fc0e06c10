import Foundation
import POSIX
import SystemPackage
import Testing
import TrainerProtocol

/// The directories on disk that are removed at the start and at the end are holdfast's own.
@Suite struct ArenaPlaceTests {
  private static let boot = "0f3d2c1b-4a59-4687-9e0f-1a2b3c4d5e6f"

  @Test func otherEntriesOfTheStateDirectoryAreNotArenas() throws {
    let state = FilePath("/tmp/holdfast-test-\(UUID().uuidString)")
    defer { try? FileSystem.removeTree(state) }
    let strange = [
      "", "notes", "0-0", Self.boot + "-copy", Self.boot.uppercased(), String(Self.boot.dropLast()),
    ]
    for name in strange + [Self.boot] {
      try FileSystem.makeDirectories(state.appending("arena-" + name), mode: 0o700)
    }
    #expect(ArenaPlace.onDisk(state) == [state.appending("arena-" + Self.boot)])
  }

  /// Images of all boots would be taken for those of this one.
  @Test(arguments: ["", "unknown"]) func withoutBootIDNothingIsOnDisk(boot: String) {
    #expect(ArenaPlace("/run/job", state: "/job", boot: boot).disk == nil)
    #expect(ArenaPlace("/run/job", state: "/job", boot: Self.boot).disk?.string == "/job/arena-" + Self.boot)
    #expect(ProcessTable.bootID.count == Self.boot.count)
  }
}
