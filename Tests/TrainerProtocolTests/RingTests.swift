import Glibc
import POSIX
import SystemPackage
import TestSupport
import Testing

@testable import TrainerProtocol

/// Runs `body` with a temporary directory.
func withDirectory<Result>(_ body: (FilePath) throws -> Result) throws -> Result {
  var template = Array("/tmp/holdfast-unit.XXXXXX".utf8CString)
  _ = mkdtemp(&template)
  let path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
  defer { try? FileSystem.removeTree(path) }
  return try body(path)
}

@Suite struct RingTests {
  static let identity = RingIdentity(jobID: JobID(), attempt: 3, generation: 3)

  private func pair(_ directory: FilePath, _ bytes: Int = 4096) throws -> (RingReader, RingWriter) {
    let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: bytes)
    return (reader, try RingWriter(directory: directory))
  }

  private func drain(_ reader: RingReader) -> [[UInt8]] {
    var records: [[UInt8]] = []
    _ = reader.drain(limit: .max) { _, payload in records.append(Array(payload)) }
    return records
  }

  /// Records of any size, over several laps.
  @Test(arguments: 1...20) func recordsRoundTrip(seed: UInt64) throws {
    var random = Generator(seed: seed)
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      var expected: [[UInt8]] = []
      var got: [[UInt8]] = []
      for _ in 0..<2000 {
        let payload = (0..<Int.random(in: 0...300, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        if writer.append(.failure, payload) { expected.append(payload) }
        if Int.random(in: 0..<5, using: &random) == 0 {
          got += drain(reader)
          reader.releaseConsumed()
        }
      }
      got += drain(reader)
      #expect(got == expected, "seed \(seed)")
      #expect(reader.skipped == writer.skipped)
    }
  }

  @Test func fullRingCountsSkippedSnapshots() throws {
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      var written = 0
      while writer.append(.failure, [UInt8](repeating: 1, count: 100)) { written += 1 }
      #expect(written == 31 && writer.skipped == 0, "the caller retries")
      let isWritten = [UInt8](repeating: 1, count: 100).withUnsafeBytes { image in
        writer.appendSnapshot(
          step: 1, epoch: 0, batch: 1, samples: 1, timeNanoseconds: 1, phase: .training,
          metrics: UnsafeBufferPointer(start: nil, count: 0),
          parts: UnsafeRawBufferPointer(start: nil, count: 0), partCount: 0, image: image)
      }
      #expect(!isWritten)
      #expect(writer.skipped == 1 && reader.skipped == 1, "a snapshot is not tried again")
      #expect(drain(reader).count == 31)
      #expect(!writer.append(.failure, [UInt8](repeating: 1, count: 100)), "read is not released")
      reader.releaseConsumed()
      #expect(writer.append(.failure, [1]))
    }
  }

  @Test func newSupervisorReadsUnreleasedRecords() throws {
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      for number in 0..<10 as Range<UInt8> { _ = writer.append(.failure, [number]) }
      _ = reader.drain(limit: 4) { _, _ in }
      reader.releaseConsumed()
      _ = reader.drain(limit: 3) { _, _ in }
      let next = try RingReader.open(directory: directory)
      #expect(drain(next) == [[4], [5], [6], [7], [8], [9]])
    }
  }

  /// After a lap, valid old records are where new ones will be. They must not be read.
  @Test(arguments: 1...10) func newSupervisorIgnoresOldLaps(seed: UInt64) throws {
    var random = Generator(seed: seed)
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      var sent: [[UInt8]] = []
      for number in 0..<500 {
        let payload = [UInt8](repeating: UInt8(number % 256), count: Int.random(in: 1...90, using: &random))
        if writer.append(.failure, payload) { sent.append(payload) }
        if number % 7 == 0 {
          sent.removeFirst(drain(reader).count)
          reader.releaseConsumed()
        }
      }
      let next = try RingReader.open(directory: directory)
      #expect(drain(next) == sent, "seed \(seed)")
    }
  }

  @Test func tornRecordIsNotRead() throws {
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      _ = writer.append(.failure, [1, 2, 3])
      _ = writer.append(.failure, [4, 5, 6])
      let path = directory.appending("ring-0")
      let file = try OpenFile(path, .readWrite)
      let mapping = try MappedFile(file, count: try file.size(), access: .readWrite)
      let second = mapping.base + 4096 + 32
      let byte = second.load(fromByteOffset: 25, as: UInt8.self)
      second.storeBytes(of: byte ^ 8, toByteOffset: 25, as: UInt8.self)
      #expect(drain(reader) == [[1, 2, 3]])
      second.storeBytes(of: byte, toByteOffset: 25, as: UInt8.self)
      #expect(drain(reader) == [[4, 5, 6]])
    }
  }

  @Test(arguments: 1...50) func randomBytesNeitherCrashNorLoop(seed: UInt64) throws {
    var random = Generator(seed: seed)
    try withDirectory { directory in
      let (_, writer) = try pair(directory)
      for _ in 0..<20 { _ = writer.append(.failure, [7]) }
      let file = try OpenFile(directory.appending("ring-0"), .readWrite)
      let mapping = try MappedFile(file, count: try file.size(), access: .readWrite)
      // Only the identity stays valid, so that the ring opens.
      for offset in 128..<mapping.count where Int.random(in: 0..<3, using: &random) == 0 {
        mapping.base.storeBytes(
          of: UInt8.random(in: 0...255, using: &random), toByteOffset: offset, as: UInt8.self)
      }
      if let reader = try? RingReader.open(directory: directory) {
        _ = reader.drain(limit: 10_000) { kind, payload in
          if kind == .snapshot { _ = SnapshotView(payload)?.chainedDigests() }
        }
        reader.releaseConsumed()
      }
      mapping.base.storeBytes(
        of: UInt8.random(in: 0...255, using: &random), toByteOffset: Int(seed) % 80, as: UInt8.self)
      _ = try? RingReader.open(directory: directory)
    }
  }

  @Test func ringAcceptsOneTrainer() throws {
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      #expect(reader.isHeld)
      #expect(throws: ProtocolError.self) { try RingWriter(directory: directory) }
      withExtendedLifetime(writer) {}
    }
  }

  @Test func requestsAreSeenOnceAndOnlyForThisGeneration() throws {
    try withDirectory { directory in
      let (reader, writer) = try pair(directory)
      #expect(writer.pendingRequest() == nil)
      var request = Request(sequence: 1, kind: .save, slot: 1, cutID: CutID(), targetStep: 9, generation: 3)
      reader.post(request)
      #expect(writer.pendingRequest() == request)
      writer.acknowledge(request, .staged)
      #expect(writer.pendingRequest() == nil)
      request.sequence = 2
      request.generation = 2
      reader.post(request)
      #expect(writer.pendingRequest() == nil, "of an older generation")
      #expect(writer.spareSlot == nil)
      reader.offer(slot: 1)
      #expect(writer.spareSlot == 1)
      reader.offer(slot: 7)
      #expect(writer.spareSlot == nil, "there is no such slot")
    }
  }

  @Test func reusedRingIsEmpty() throws {
    try withDirectory { directory in
      for _ in 0..<4 {
        let (reader, writer) = try pair(directory)
        #expect(drain(reader).isEmpty)
        for _ in 0..<20 { _ = writer.append(.failure, [9, 9]) }
        #expect(drain(reader).count == 20)
        try RingReader.prepareNext(directory: directory, capacityBytes: 4096)
      }
    }
  }
}
