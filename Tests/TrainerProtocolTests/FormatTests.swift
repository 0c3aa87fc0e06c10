import Glibc
import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing
import Vocabulary

@testable import TrainerProtocol

@Suite struct FormatTests {
  @Test func checksumMatchesDefinition() {
    #expect(Array("123456789".utf8).withUnsafeBytes { CRC32.checksum($0) } == 0xcbf4_3926)
    #expect(UnsafeRawBufferPointer(start: nil, count: 0).isEmpty)
    var random = Generator(seed: 4)
    for count in 0..<400 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      bytes.withUnsafeBytes { bytes in
        // Bit by bit, from the definition.
        var expected: UInt32 = ~0
        for byte in bytes {
          expected ^= UInt32(byte)
          for _ in 0..<8 { expected = expected & 1 == 1 ? expected >> 1 ^ 0xedb8_8320 : expected >> 1 }
        }
        #expect(CRC32.checksum(bytes) == ~expected, "\(count) bytes")
        if let base = bytes.baseAddress {
          #expect(CRC32.byTable(~0, base, count) == expected, "\(count) bytes")
        }
        let half = count / 2
        let first = CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<half]))
        #expect(CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[half...]), first) == ~expected)
      }
    }
  }

  /// Expected values are from the reference implementation.
  @Test func hashMatchesReference() {
    func hash(_ text: String, _ seed: UInt64 = 0) -> UInt64 {
      Array(text.utf8).withUnsafeBytes { XXH64.hash($0, seed: seed) }
    }
    #expect(hash("") == 0xef46_db37_51d8_e999)
    #expect(hash("a") == 0xd24e_c4f1_a98c_6e5b)
    #expect(hash("abc") == 0x44bc_2cf5_ad77_0999)
    #expect(hash("Call me Ishmael. Some years ago--never mind how long precisely-") == 0x02a2_e854_70d6_fd96)
  }

  @Test func identifierTextRoundTrips() throws {
    let id = JobID()
    #expect(JobID("\(id)") == id)
    #expect(JobID("not an id") == nil && JobID("0123") == nil)
    #expect(CutID("00000000-0000-0000-0000-0000000000ff")?.low == 255)
  }

  @Test func stagedRoundTrips() {
    let staged = Staged(
      requestSequence: 9, step: 8, imageBytes: 7, cutID: CutID(), slot: nil, outcome: .failed, error: 28,
      stallNanoseconds: 5)
    var bytes = [UInt8](repeating: 0xff, count: Staged.encodedBytes)
    bytes.withUnsafeMutableBytes { staged.encode(into: $0) }
    #expect(bytes.withUnsafeBytes { Staged(decoding: $0) } == staged)
    #expect(bytes.prefix(64).withUnsafeBytes { Staged(decoding: $0) }?.preparationNanoseconds == 0)
    #expect(bytes.prefix(63).withUnsafeBytes { Staged(decoding: $0) } == nil)
  }

  @Test(arguments: 1...200) func arbitraryBytesNeverCrashSnapshotView(seed: UInt64) {
    var random = Generator(seed: seed)
    let count = Int.random(in: 0...400, using: &random)
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...3, using: &random) }
    bytes.withUnsafeBytes { bytes in
      guard let view = SnapshotView(bytes) else { return }
      var each: [UInt32] = []
      _ = view.digests(each: &each)
      _ = view.chainedDigests()
      _ = view.loopState()
      _ = view.metricBytes
    }
  }

  @Test func partsRoundTrip() {
    let parts: [LoopState.Part] = [
      .init(kind: .rng, name: "dropout", bytes: [1, 2, 3]), .init(kind: .sampler, name: "", bytes: []),
    ]
    let bytes = EncodedParts.encode(parts)
    #expect(bytes.withUnsafeBytes { EncodedParts.decode($0, count: 2) } == parts)
    #expect(bytes.withUnsafeBytes { EncodedParts.decode($0, count: 3) } == nil)
  }

  @Test func resumeFileRoundTripsAndForeignOneIsRejected() throws {
    try withDirectory { directory in
      let file = ResumeFile(
        job: "j", jobID: JobID(), attempt: 2, generation: 2,
        point: .init(
          level: Stored(.staged), step: 7, path: "/p", offsetBytes: 4096, lengthBytes: 9, cutID: "\(CutID())"),
        lastRecordedStep: 11, skip: [.init(epoch: 1, batch: 2)],
        hyperparameters: [
          "lr": .real(1), "epochs": .integer(3), "name": .string("x"), "amp": .bool(true),
          "betas": .array([.real(0.9), .real(1)]),
          "inner_model": .object(["dropRate": .real(0), "n": .null]),
        ])
      try file.write(in: directory)
      #expect(try ResumeFile.read(in: directory) == file)
      for text in ["", "{", "[]", "{\"format_version\":1}"] {
        try FileSystem.replace(directory.appending("resume.json"), with: Array(text.utf8), durable: false)
        #expect(throws: ProtocolError.self) { try ResumeFile.read(in: directory) }
      }
    }
  }

  @Test func incompleteSlotIsNotRead() throws {
    try withDirectory { directory in
      let slot = ArenaSlot(directory: directory, slot: 0)
      let path = ArenaSlot.path(in: directory, slot: 0)
      #expect(StagedImage.read(path) == nil)
      let description = ImageDescription(
        jobID: JobID(), cutID: CutID(), attempt: 1, generation: 1, globalRank: 0, worldSize: 1, step: 42)
      for size in [1, 5000, 200_000, 10] {
        try slot.stage(description, imageBytes: size) {
          $0.initializeMemory(as: UInt8.self, repeating: UInt8(size % 251))
        }
        let image = try #require(StagedImage.read(path))
        #expect(image.description == description)
        #expect(image.bytes.count == size && image.bytes.allSatisfy { $0 == UInt8(size % 251) })
      }
      try slot.stage(description, imageBytes: 10) { _ in
        #expect(StagedImage.read(path) == nil, "while it is being written")
      }
      var bytes = try FileSystem.read(path)
      for offset in [0, 9, 20, 40, 75, 85, 90] {
        bytes[offset] ^= 1
        try FileSystem.replace(path, with: bytes, durable: false)
        #expect(StagedImage.read(path) == nil, "byte \(offset)")
        bytes[offset] ^= 1
      }
    }
  }
}
