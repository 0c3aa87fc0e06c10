import CTrainerProtocol
import Glibc
import POSIX
import SystemPackage
import Testing

@testable import TrainerProtocol

/// Recovery of a supervisor after the crash of another.
@Suite struct RecoveryTests {
  private static let identity = RingIdentity(jobID: JobID(), attempt: 1, generation: 1)
  /// With the header of 24 bytes, exactly an eighth of a ring of 1024 words.
  private static let eighth = [UInt8](repeating: 1, count: 1000)

  private func drain(_ reader: RingReader) -> [[UInt8]] {
    var records: [[UInt8]] = []
    _ = reader.drain(limit: .max) { _, payload in records.append(Array(payload)) }
    return records
  }

  private func map(_ directory: FilePath) throws -> MappedFile {
    let file = try OpenFile(directory.appending("ring-0"), .readWrite)
    return try MappedFile(file, count: try file.size(), access: .readWrite)
  }

  /// Simulates a crash after `consumed` was written, but not `consumed_sequence`, which still has its initial value.
  private func crashBetweenTheWords(_ directory: FilePath) throws {
    let mapping = try map(directory)
    withExtendedLifetime(mapping) { mapping.base.put(UInt64(1), at: HF_RING_CONSUMED_SEQUENCE) }
  }

  /// The two words of the position are not written atomically.
  @Test func crashBetweenPositionWordsLosesNothing() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      for number in 0..<6 as Range<UInt8> { _ = writer.append(.failure, [number]) }
      _ = reader.drain(limit: 4) { _, _ in }
      reader.releaseConsumed()
      try crashBetweenTheWords(directory)

      let next = try RingReader.open(directory: directory)
      #expect(drain(next) == [[4], [5]])
      // A failed commit rewinds to the same pair of words.
      next.rewind()
      #expect(drain(next) == [[4], [5]])
    }
  }

  @Test func crashBetweenPositionWordsDoesNotRereadALap() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 8192)
      let writer = try RingWriter(directory: directory)
      while writer.append(.failure, Self.eighth) {}
      #expect(drain(reader).count == 7, "one record's room stays free, so that no position has two meanings")
      reader.releaseConsumed()
      try crashBetweenTheWords(directory)
      #expect(drain(try RingReader.open(directory: directory)).isEmpty)
    }
  }

  /// A trainer that overwrites the supervisor's words does not affect a running supervisor.
  @Test func rewindIgnoresSharedMemory() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      _ = writer.append(.failure, [7])
      #expect(drain(reader) == [[7]])
      let mapping = try map(directory)
      mapping.base.put(UInt64(13), at: HF_RING_CONSUMED)
      mapping.base.put(UInt64(99), at: HF_RING_CONSUMED_SEQUENCE)
      reader.rewind()
      #expect(drain(reader) == [[7]])
    }
  }

  @Test func damageAfterLastReadRecordIsReported() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      _ = writer.append(.failure, [1])
      _ = writer.append(.failure, [2])
      let mapping = try map(directory)
      // A crash in the middle of a record: the words after the payload were not written.
      let torn = mapping.base + 4096 + 64
      torn.put(UInt32(40), at: HF_RECORD_LENGTH)
      torn.put(UInt64(3), at: HF_RECORD_SEQUENCE)
      #expect(drain(reader) == [[1], [2]])
      #expect(!reader.hasDamagedTail, "a record that was never finished is not damage")
      // A complete record that was damaged.
      reader.rewind()
      mapping.base.storeBytes(of: UInt8(0xff), toByteOffset: 4096 + 32 + 24, as: UInt8.self)
      #expect(drain(reader) == [[1]])
      #expect(reader.hasDamagedTail)
    }
  }

  /// Such as records of a newer library. Those that follow must not be lost.
  @Test func recordsOfUnknownKindAreSkipped() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      for number in 1...3 as ClosedRange<UInt8> { _ = writer.append(.failure, [number]) }
      let mapping = try map(directory)
      let second = mapping.base + 4096 + 32
      second.put(UInt16(4711), at: HF_RECORD_KIND)
      second.put(UInt32(0), at: HF_RECORD_CRC)
      second.put(CRC32.checksum(UnsafeRawBufferPointer(start: second, count: 25)), at: HF_RECORD_CRC)
      #expect(drain(reader) == [[1], [3]])
      #expect(!reader.hasDamagedTail)
    }
  }

  /// A process that still has the last ring open would continue to write into the next one.
  @Test func heldRingIsNotReused() throws {
    try withDirectory { directory in
      _ = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let leftover = try RingWriter(directory: directory)
      var identity = Self.identity
      for attempt in 2...3 as ClosedRange<UInt64> {
        identity.attempt = attempt
        let reader = try RingReader.create(directory: directory, identity: identity, capacityBytes: 4096)
        let writer = try RingWriter(directory: directory)
        _ = leftover.append(.failure, [66])
        _ = writer.append(.failure, [1])
        #expect(drain(reader) == [[1]], "attempt \(attempt)")
        try RingReader.prepareNext(directory: directory, capacityBytes: 4096)
        _ = leftover.append(.failure, [66])
      }
    }
  }

  /// If every record is read before the next one, the ring is never full, whatever remains at its end: nothing, less
  /// than a record's header, or space for a padding record.
  @Test(arguments: 0...40) func slowTrainerLosesNothing(payloadBytes: Int) throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      let payload = [UInt8](repeating: 5, count: payloadBytes * 8)
      for number in 0..<600 {
        #expect(writer.append(.failure, payload), "record \(number)")
        #expect(drain(reader).count == 1 && !reader.hasUnread, "record \(number)")
        reader.releaseConsumed()
        if writer.skipped > 0 { return }
      }
    }
  }
}
