import Glibc
import TestSupport
import Testing

@testable import LMDB

/// A damaged file is rejected and never crashes the process.
@Suite struct DamageTests {
  private func filled(_ scratch: Scratch) throws -> [UInt8] {
    do {
      let environment = try scratch.open(mapBytes: 16 << 20)
      let database = try environment.make("rows")
      for group in 0..<20 {
        try environment.write { transaction in
          for number in 0..<200 {
            let key = withUnsafeBytes(of: UInt64(group * 200 + number).bigEndian) { Array($0) }
            try transaction.put(database, key, [UInt8](repeating: UInt8(group), count: 100))
          }
          try transaction.put(
            database, [UInt8](repeating: 255, count: 9), [UInt8](repeating: 1, count: 20_000))
        }
      }
    }
    let file = try #require(fopen(scratch.dataFile, "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }

  private func openAndCheck(_ scratch: Scratch) throws {
    _ = try scratch.open(mapBytes: 16 << 20)
  }

  @Test func undamagedFilePasses() throws {
    let scratch = try Scratch()
    _ = try filled(scratch)
    try openAndCheck(scratch)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func randomBytesAreRejected(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let scratch = try Scratch()
    for count in [1, 100, 4095, 8192, 100_000] {
      try scratch.replaceData((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
      let error = #expect(throws: LMDBError.self, "seed \(seed), \(count) bytes") { try scratch.open() }
      #expect(error?.isDamage == true)
    }
  }

  @Test func pageSizeOfZeroIsRejected() throws {
    let scratch = try Scratch()
    var bytes = try filled(scratch)
    for page in [0, 4096] {
      for offset in 40..<44 { bytes[page + offset] = 0 }
    }
    try scratch.replaceData(bytes)
    let error = #expect(throws: LMDBError.self) { try scratch.open() }
    #expect(error?.isDamage == true)
  }

  @Test func truncatedFileIsRejected() throws {
    let scratch = try Scratch()
    let bytes = try filled(scratch)
    for count in stride(from: 3 * 4096, to: bytes.count - 100_000, by: 37 * 4096) {
      try scratch.replaceData(Array(bytes[..<count]))
      let error = #expect(throws: LMDBError.self, "\(count) bytes") { try openAndCheck(scratch) }
      #expect(error?.isDamage == true)
    }
  }

  /// Overwritten pages are detected before LMDB follows them.
  @Test(arguments: [11, 12, 13, 14, 15, 16] as [UInt64])
  func overwrittenPagesAreDetected(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let scratch = try Scratch()
    let bytes = try filled(scratch)
    let fill = UInt8.random(in: 0...255, using: &random)
    var damaged = bytes
    for index in 2 * 4096..<damaged.count {
      damaged[index] = index % 7 == 0 ? fill : fill &+ UInt8(index % 251)
    }
    try scratch.replaceData(damaged)
    let error = #expect(throws: LMDBError.self, "seed \(seed)") { try openAndCheck(scratch) }
    #expect(error?.isDamage == true)
  }

  /// Changed single bytes that are not detected must not crash a reader.
  @Test(arguments: [21, 22, 23, 24] as [UInt64])
  func changedBytesNeverCrash(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let scratch = try Scratch()
    let bytes = try filled(scratch)
    for _ in 0..<60 {
      var damaged = bytes
      for _ in 0..<8 {
        damaged[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      try scratch.replaceData(damaged)
      // Readers do not run the structure check.
      readAll(scratch)
      guard let environment = try? scratch.open(mapBytes: 16 << 20),
        let database = try? environment.find("rows")
      else { continue }
      _ = try? environment.write { transaction in
        var cursor = try transaction.cursor(database)
        var entry = try cursor.first()
        var sum = 0
        while let (key, value) = entry {
          sum += key.count + value.reduce(0) { $0 &+ Int($1) }
          entry = try cursor.next()
        }
        for number in 0..<50 {
          let key = withUnsafeBytes(of: UInt64.random(in: 0...5000, using: &random).bigEndian) { Array($0) }
          try transaction.put(database, key, [UInt8](repeating: 9, count: number * 50))
          _ = try key.withUnsafeBytes { try transaction.delete(database, $0) }
        }
      }
    }
  }

  private func readAll(_ scratch: Scratch) {
    guard let file = try? DataFile(scratch.path), let transaction = try? ReadTransaction(file),
      let database = try? transaction.database("rows"), let cursor = try? transaction.cursor(database)
    else { return }
    var entry = try? cursor.first()
    while entry != nil { entry = try? cursor.next() }
    var previous = try? cursor.last()
    while previous != nil { previous = try? cursor.previous() }
  }
}
