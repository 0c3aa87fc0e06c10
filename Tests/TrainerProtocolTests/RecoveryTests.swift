import CTrainerProtocol
import Glibc
import POSIX
import SystemPackage
import Testing

@testable import TrainerProtocol

/// What a supervisor finds that starts where another died.
@Suite struct RecoveryTests {
  private static let identity = RingIdentity(jobID: JobID(), attempt: 1, generation: 1)
  /// With its header of 24 bytes, exactly an eighth of a ring of 1024 words.
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

  /// As if `consumed` had been written and `consumed_sequence` not: that is still of the start.
  private func dieBetweenTheWords(_ directory: FilePath) throws {
    let mapping = try map(directory)
    withExtendedLifetime(mapping) { mapping.base.put(UInt64(1), at: HF_RING_CONSUMED_SEQUENCE) }
  }

  /// The two words of the position are written one after the other: a supervisor may die between.
  @Test func deathBetweenTheTwoWordsOfThePositionLosesNothing() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      for number in 0..<6 as Range<UInt8> { _ = writer.append(.failure, [number]) }
      _ = reader.drain(limit: 4) { _, _ in }
      reader.releaseConsumed()
      try dieBetweenTheWords(directory)

      let next = try RingReader.open(directory: directory)
      #expect(drain(next) == [[4], [5]])
      // A commit that fails sends it back to the same pair of words.
      next.rewind()
      #expect(drain(next) == [[4], [5]])
    }
  }

  @Test func aWholeLapIsNotReadAgainAfterSuchADeath() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 8192)
      let writer = try RingWriter(directory: directory)
      while writer.append(.failure, Self.eighth) {}
      #expect(drain(reader).count == 7, "one record's room stays free, so that no position has two meanings")
      reader.releaseConsumed()
      try dieBetweenTheWords(directory)
      #expect(drain(try RingReader.open(directory: directory)).isEmpty)
    }
  }

  /// A trainer that scribbles over the supervisor's words cannot lead a running supervisor astray.
  @Test func rewindDoesNotAskTheSharedMemory() throws {
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

  @Test func damageAfterTheLastReadRecordIsTold() throws {
    try withDirectory { directory in
      let reader = try RingReader.create(directory: directory, identity: Self.identity, capacityBytes: 4096)
      let writer = try RingWriter(directory: directory)
      _ = writer.append(.failure, [1])
      _ = writer.append(.failure, [2])
      let mapping = try map(directory)
      // Died in the middle of a record: the words after the payload were never written.
      let torn = mapping.base + 4096 + 64
      torn.put(UInt32(40), at: HF_RECORD_LENGTH)
      torn.put(UInt64(3), at: HF_RECORD_SEQUENCE)
      #expect(drain(reader) == [[1], [2]])
      #expect(!reader.damagedTail, "a record that was never finished is not damage")
      // A record that was finished, and is not whole any more.
      reader.rewind()
      mapping.base.storeBytes(of: UInt8(0xff), toByteOffset: 4096 + 32 + 24, as: UInt8.self)
      #expect(drain(reader) == [[1]])
      #expect(reader.damagedTail)
    }
  }

  /// Of a newer library, say: what follows it must not be lost.
  @Test func recordsOfUnknownKindArePassedOver() throws {
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
      #expect(!reader.damagedTail)
    }
  }

  /// Someone who still holds the last ring would go on writing into the next one.
  @Test func aRingThatIsStillHeldIsNotUsedAgain() throws {
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

  /// A trainer so slow that every record is read before the next never finds the ring full, whatever
  /// is left at its end: nothing, less than a record's header, or a padding record's room.
  @Test(arguments: 0...40) func aSlowTrainerLosesNothing(payloadBytes: Int) throws {
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
