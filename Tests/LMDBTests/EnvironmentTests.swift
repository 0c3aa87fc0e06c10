import Glibc
import Testing

@testable import LMDB

@Suite struct EnvironmentTests {
  @Test func openingTwiceInAProcessFails() throws {
    let scratch = try Scratch()
    do {
      let first = try scratch.open()
      let error = #expect(throws: LMDBError.self) { try scratch.open() }
      #expect(error?.isAlreadyOpen == true)
      _ = first.mapBytes
    }
    // Released with its last reference.
    _ = try scratch.open()
  }

  @Test func openSucceedsAfterFailure() throws {
    let scratch = try Scratch()
    try scratch.replaceData([UInt8](repeating: 7, count: 20_000))
    #expect(throws: LMDBError.self) { try scratch.open() }
    unlink(scratch.dataFile)
    _ = try scratch.open()
  }

  @Test func fullMapGrowsWithoutLoss() throws {
    let scratch = try Scratch()
    let environment = try scratch.open(mapBytes: 64 << 10)
    let database = try environment.make("numbers")
    let value = [UInt8](repeating: 7, count: 1000)
    var grown = 0
    for number in 0..<200 {
      let key = withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
      while true {
        do {
          try environment.write { try $0.put(database, key, value) }
          break
        } catch let error as LMDBError where error.isMapFull {
          grown += 1
          try environment.grow(toMapBytes: environment.mapBytes * 2)
        }
      }
    }
    #expect(grown > 0)
    #expect(try environment.read { try $0.count(database) } == 200)
  }

  /// Growing during a transaction of the same process would unmap the data that it reads.
  @Test func growingWaitsForTransaction() throws {
    let scratch = try Scratch()
    let environment = try scratch.open()
    let database = try environment.make("values")
    try environment.write { try $0.put(database, [1], [UInt8](repeating: 9, count: 100)) }
    let order = Order()
    try environment.write { transaction in
      let thread = try order.start {
        try? environment.grow(toMapBytes: 8 << 20)
        order.append("grown")
      }
      usleep(50_000)
      let value = try #require(try [UInt8]([1]).withUnsafeBytes { try transaction.get(database, $0) })
      #expect(value.allSatisfy { $0 == 9 })
      order.append("written")
      order.thread = thread
    }
    order.join()
    #expect(order.words == ["written", "grown"])
    #expect(environment.mapBytes == 8 << 20)
  }

  @Test func reopenKeepsDatabases() throws {
    let scratch = try Scratch()
    let environment = try scratch.open()
    let first = try environment.make("first")
    let second = try environment.make("second")
    try environment.write { transaction in
      try transaction.put(first, [1], [1])
      try transaction.put(second, [1], [2])
    }
    try environment.reopen()
    #expect(try environment.read { try $0.value(first, [1]) } == [1])
    #expect(try environment.read { try $0.value(second, [1]) } == [2])
    try environment.write { try $0.put(second, [3], [4]) }
    #expect(try environment.read { try $0.count(second) } == 2)
  }

  @Test func throwingTransactionIsNotCommitted() throws {
    struct Stop: Error {}
    let scratch = try Scratch()
    let environment = try scratch.open()
    let database = try environment.make("values")
    #expect(throws: Stop.self) {
      try environment.write { transaction in
        try transaction.put(database, [1], [1])
        throw Stop()
      }
    }
    #expect(try environment.read { try $0.count(database) } == 0)
  }

  @Test func residentPagesAreReleased() throws {
    let scratch = try Scratch()
    let environment = try scratch.open(mapBytes: 64 << 20)
    let database = try environment.make("values")
    try environment.write { transaction in
      for number in 0..<2000 as Range<UInt64> {
        let key = withUnsafeBytes(of: number.bigEndian) { Array($0) }
        try transaction.put(database, key, [UInt8](repeating: 3, count: 8000))
      }
    }
    func look() throws -> Int {
      // A write transaction, as only these read through the map.
      try environment.write { transaction in
        var cursor = try transaction.cursor(database)
        var sum = 0
        var entry = try cursor.first()
        while let (_, value) = entry {
          sum += Int(value[0]) + Int(value[value.count - 1])
          entry = try cursor.next()
        }
        return sum
      }
    }
    #expect(try look() == 12_000)
    let before = try residentBytes(scratch.dataFile)
    environment.releaseResidentPages()
    let after = try residentBytes(scratch.dataFile)
    #expect(before > 8 << 20 && after < 1 << 20, "\(before) before, \(after) after")
    #expect(try look() == 12_000)
  }

  /// Resident bytes of this process's mappings of a file.
  private func residentBytes(_ path: String) throws -> Int {
    let file = try #require(fopen("/proc/self/smaps", "r"))
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var isOurs = false
    var kilobytes = 0
    while getline(&line, &capacity, file) > 0 {
      let text = line.map { String(cString: $0) } ?? ""
      if text.contains(" rw") || text.contains(" r-") { isOurs = text.contains(path) }
      if isOurs, text.hasPrefix("Rss:") {
        kilobytes += text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
      }
    }
    return kilobytes << 10
  }

  @Test func missingDatabaseIsNil() throws {
    let scratch = try Scratch()
    let environment = try scratch.open()
    #expect(try environment.find("nothing") == nil)
  }
}

/// Words in the order in which threads appended them.
final class Order: @unchecked Sendable {
  private var lock = pthread_mutex_t()
  private var said: [String] = []
  var thread: pthread_t?

  init() { pthread_mutex_init(&lock, nil) }
  deinit { pthread_mutex_destroy(&lock) }

  var words: [String] {
    pthread_mutex_lock(&lock)
    defer { pthread_mutex_unlock(&lock) }
    return said
  }

  func append(_ word: String) {
    pthread_mutex_lock(&lock)
    said.append(word)
    pthread_mutex_unlock(&lock)
  }

  func start(_ body: @escaping @Sendable () -> Void) throws -> pthread_t {
    final class Box {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let code = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, box.toOpaque())
    try #require(code == 0)
    return thread
  }

  func join() {
    if let thread { pthread_join(thread, nil) }
  }
}
