import Glibc
import Testing

@testable import LMDB

/// A temporary directory for a test.
final class Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/holdfast-lmdb-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in ["data.mdb", "lock.mdb"] { unlink(path + "/" + name) }
    rmdir(path)
  }

  var dataFile: String { path + "/data.mdb" }

  func open(mapBytes: Int = 1 << 20) throws(LMDBError) -> Environment {
    var options = Environment.Options()
    options.mapBytes = mapBytes
    return try Environment(path, options)
  }

  func replaceData(_ bytes: [UInt8]) throws {
    let file = try #require(fopen(dataFile, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}

extension Environment {
  func make(_ name: String) throws -> Database {
    try write { transaction in try #require(try transaction.database(name, create: true)) }
  }

  func find(_ name: String) throws -> Database? {
    try read { try $0.database(name) }
  }

  func checkStructure() throws { try DataFile(path).checkStructure() }
}

extension Transaction {
  func put(_ database: Database, _ key: [UInt8], _ value: [UInt8]) throws {
    try key.withUnsafeBytes { key in try value.withUnsafeBytes { try put(database, key, $0) } }
  }

}

extension ReadTransaction {
  func value(_ database: Database, _ key: [UInt8]) throws -> [UInt8]? {
    try key.withUnsafeBytes { key in try get(database, key).map { Array($0) } }
  }
}
