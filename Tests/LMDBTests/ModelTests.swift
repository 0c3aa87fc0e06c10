import TestSupport
import Testing

@testable import LMDB

@Suite struct ModelTests {
  /// Compares random changes, some of them aborted, with a dictionary.
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func behavesAsADictionary(seed: UInt64) throws {
    var random = Generator(seed: seed)
    let scratch = try Scratch()
    let environment = try scratch.open(mapBytes: 32 << 20)
    let database = try environment.make("model")
    var model: [[UInt8]: [UInt8]] = [:]
    for round in 0..<60 {
      var draft = model
      let transaction = try Transaction(environment)
      for _ in 0..<Int.random(in: 0..<40, using: &random) {
        let key = bytes(1...3, &random)
        if Bool.random(using: &random) {
          // Up to several pages, so that some values are on overflow pages.
          let value = bytes(0...9000, &random)
          try transaction.put(database, key, value)
          draft[key] = value
        } else {
          let was = try key.withUnsafeBytes { try transaction.delete(database, $0) }
          #expect(was == (draft.removeValue(forKey: key) != nil), "seed \(seed), round \(round)")
        }
      }
      if Int.random(in: 0..<4, using: &random) > 0 {
        try transaction.commit()
        model = draft
      } else {
        _ = consume transaction
      }
      let found = try contents(environment, database)
      #expect(found.map(\.0) == model.keys.sorted { $0.lexicographicallyPrecedes($1) }, "seed \(seed)")
      #expect(found.allSatisfy { model[$0.0] == $0.1 }, "seed \(seed), round \(round)")
      try seek(environment, database, model, &random, seed)
    }
    try environment.checkStructure()
  }

  private func bytes(_ count: ClosedRange<Int>, _ random: inout Generator) -> [UInt8] {
    (0..<Int.random(in: count, using: &random)).map { _ in UInt8.random(in: 0..<16, using: &random) }
  }

  private func contents(_ environment: Environment, _ database: Database) throws -> [([UInt8], [UInt8])] {
    try environment.read { transaction in
      var all: [([UInt8], [UInt8])] = []
      let cursor = try transaction.cursor(database)
      var entry = try cursor.first()
      while let (key, value) = entry {
        all.append((Array(key), Array(value)))
        entry = try cursor.next()
      }
      return all
    }
  }

  private func seek(
    _ environment: Environment, _ database: Database, _ model: [[UInt8]: [UInt8]], _ random: inout Generator,
    _ seed: UInt64
  ) throws {
    let key = bytes(1...3, &random)
    let expected = model.keys.filter { !$0.lexicographicallyPrecedes(key) }
      .min { $0.lexicographicallyPrecedes($1) }
    let found = try environment.read { transaction in
      let cursor = try transaction.cursor(database)
      return try key.withUnsafeBytes { try cursor.seek($0).map { Array($0.key) } }
    }
    #expect(found == expected, "seed \(seed)")
  }
}
