import Foundation
import Glibc
import POSIX
import Reporting
import SystemPackage
import Testing
import TrainerProtocol

@testable import Supervisor

/// Slots are allocated ahead of the first copy, as far as memory suffices.
@Suite struct ArenaPreparationTests {
  private static let bytes = 4 << 20

  /// A directory on tmpfs.
  private final class Directory {
    let path = FilePath("/dev/shm/holdfast-test-\(UUID().uuidString)")
    private var isMounted = false

    init(size: String? = nil) throws {
      try FileSystem.makeDirectories(path, mode: 0o700)
      guard let size else { return }
      try posix("mount", path) {
        path.withPlatformString { mount("tmpfs", $0, "tmpfs", 0, "mode=0700,size=\(size)") }
      }
      isMounted = true
    }

    func slot(_ number: UInt32) -> FilePath { ArenaSlot.path(in: path, slot: number) }

    /// nil: there is no such file.
    func allocatedBytes(_ number: UInt32) throws -> Int? {
      guard FileSystem.exists(slot(number)) else { return nil }
      return Int(try OpenFile(slot(number), .readOnly).status().st_blocks) * 512
    }

    deinit {
      if isMounted { _ = path.withPlatformString { umount2($0, Int32(MNT_DETACH)) } }
      try? FileSystem.removeTree(path)
    }
  }

  private func prepare(_ preparation: ArenaPreparation, _ bytes: Int) {
    let gate = Gate()
    preparation.prepare(imageBytes: bytes) { gate.open() }
    gate.wait()
  }

  private func stage(_ slot: ArenaSlot, _ byte: UInt8, bytes: Int = Self.bytes) throws {
    let image = ImageDescription(
      jobID: JobID(), cutID: CutID(), attempt: 1, generation: 1, globalRank: 0, worldSize: 1, step: 7)
    try slot.stage(image, imageBytes: bytes) { target in
      memset(target.baseAddress!, Int32(byte), target.count)
    }
  }

  @Test func slotsAreAllocatedAndKeepTheirImages() throws {
    let directory = try Directory()
    try stage(ArenaSlot(directory: directory.path, slot: 0), 5, bytes: 1000)
    let preparation = ArenaPreparation(directory.path, slotCount: 2)
    #expect(preparation.preparedBytes == 0)
    prepare(preparation, Self.bytes)
    #expect(preparation.preparedBytes == Self.bytes && !preparation.isBusy)
    for slot in [0, 1] as [UInt32] {
      #expect(try directory.allocatedBytes(slot) == ArenaSlot.fileBytes(imageBytes: Self.bytes))
    }
    let image = try #require(StagedImage.read(directory.slot(0)))
    #expect(image.description.step == 7 && image.bytes.count == 1000 && image.bytes.allSatisfy { $0 == 5 })
    #expect(StagedImage.read(directory.slot(1)) == nil)
  }

  @Test func aPreparedSlotIsMappedAheadAndUsed() throws {
    let directory = try Directory()
    prepare(ArenaPreparation(directory.path, slotCount: 2), Self.bytes)
    let slot = ArenaSlot(directory: directory.path, slot: 1)
    slot.mapAhead()
    let maps = String(decoding: try FileSystem.read("/proc/self/maps"), as: UTF8.self)
    #expect(maps.contains(directory.slot(1).string))
    try stage(slot, 9)
    #expect(try directory.allocatedBytes(1) == ArenaSlot.fileBytes(imageBytes: Self.bytes))
    let image = try #require(StagedImage.read(directory.slot(1)))
    #expect(image.bytes.count == Self.bytes && image.bytes.allSatisfy { $0 == 9 })
    // A state that has grown.
    try stage(slot, 10, bytes: Self.bytes * 2)
    #expect(StagedImage.read(directory.slot(1))?.bytes.count == Self.bytes * 2)
  }

  /// An access to a hole could raise SIGBUS on a full tmpfs.
  @Test func aSlotWithHolesIsNotMappedAhead() throws {
    let directory = try Directory()
    let slot = ArenaSlot(directory: directory.path, slot: 0)
    try OpenFile(directory.slot(0), .readWrite, create: .always(mode: 0o600)).truncate(to: Self.bytes * 2)
    slot.mapAhead()
    #expect(
      !String(decoding: try FileSystem.read("/proc/self/maps"), as: UTF8.self).contains(directory.path.string)
    )
    try stage(slot, 3)
    #expect(StagedImage.read(directory.slot(0))?.bytes.count == Self.bytes)
  }

  @Test(.enabled(if: geteuid() == 0, "root is needed to mount a small tmpfs"))
  func aSmallFilesystemIsNotFilled() throws {
    let directory = try Directory(size: "6m")
    let preparation = ArenaPreparation(directory.path, slotCount: 2)
    prepare(preparation, Self.bytes)
    #expect(preparation.preparedBytes == 0)
    #expect(try directory.allocatedBytes(0) == ArenaSlot.fileBytes(imageBytes: Self.bytes))
    #expect(try directory.allocatedBytes(1) ?? 0 == 0)
    // The rest is still there, and the first slot can be used.
    try FileSystem.replace(directory.path.appending("rest"), with: [1], durable: false)
    try stage(ArenaSlot(directory: directory.path, slot: 0), 4)
    #expect(StagedImage.read(directory.slot(0)) != nil)
  }

  /// Both places are full once. What is staged on the disk afterwards stays there.
  @Test(.enabled(if: geteuid() == 0, "root is needed to mount a small tmpfs"))
  func aSlotThatFittedNowhereFindsRoomOnDisk() throws {
    let memory = try Directory(size: "1m")
    let disk = try Directory(size: "6m")
    let rest = disk.path.appending("rest")
    try FileSystem.replace(rest, with: [UInt8](repeating: 1, count: Self.bytes), durable: false)
    let place = ArenaPlace(memory.path, disk: disk.path)
    let slot = ArenaSlot(place, slot: 0)
    #expect(throws: ProtocolError.self) { try stage(slot, 1) }
    try FileSystem.remove(rest)
    for byte in [2, 3] as [UInt8] {
      try stage(slot, byte)
      let image = try #require(place.image(slot: 0))
      #expect(image.bytes.count == Self.bytes && image.bytes.allSatisfy { $0 == byte })
    }
  }

  @Test(arguments: [0, -1, .max, 1 << 46]) func absurdSizesAllocateNothing(bytes: Int) throws {
    let directory = try Directory()
    let preparation = ArenaPreparation(directory.path, slotCount: 2)
    preparation.prepare(imageBytes: bytes) {}
    preparation.end()
    #expect(try (directory.allocatedBytes(0) ?? 0) + (directory.allocatedBytes(1) ?? 0) == 0)
  }

  @Test func nothingIsCreatedAfterTheEnd() throws {
    let directory = try Directory()
    let preparation = ArenaPreparation(directory.path, slotCount: 2)
    preparation.prepare(imageBytes: Self.bytes) {}
    preparation.end()
    for slot in [0, 1] as [UInt32] { try? FileSystem.remove(directory.slot(slot)) }
    preparation.prepare(imageBytes: Self.bytes * 2) {}
    #expect(!preparation.isBusy)
    #expect(try FileSystem.list(directory.path).isEmpty)
  }

  @Test func theHeadroomIsThatOfTheNarrowestCgroup() throws {
    let directory = try Directory()
    let inner = directory.path.appending("job")
    try FileSystem.makeDirectories(inner, mode: 0o700)
    func write(_ path: FilePath, _ name: String, _ text: String) throws {
      try FileSystem.replace(path.appending(name), with: Array(text.utf8), durable: false)
    }
    try write(inner, "memory.max", "max\n")
    try write(inner, "memory.current", "500\n")
    #expect(MemoryHeadroom.bytes(in: inner) == .max)
    try write(directory.path, "memory.max", "1000\n")
    try write(directory.path, "memory.current", "700\n")
    try write(directory.path, "memory.stat", "anon 600\ninactive_file 30\nactive_file 4\nshmem 5\n")
    #expect(MemoryHeadroom.bytes(in: inner) == 334)
    try write(inner, "memory.max", "600\n")
    #expect(MemoryHeadroom.bytes(in: inner) == 100)
    #expect(MemoryHeadroom.bytes > 0 && MemoryHeadroom.bytes < 1 << 50)
  }
}
