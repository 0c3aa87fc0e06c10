import LMDB
import POSIX
import SystemPackage

/// A store that is written directly, without numbering, checks or sums.
public final class RawStore {
  public enum Name: String, CaseIterable, Sendable { case snapshots, checkpoints, attempts, events, meta }

  private let environment: Environment

  public init(stateDirectory: FilePath) throws {
    let directory = stateDirectory.appending("store")
    try FileSystem.makeDirectories(directory, mode: 0o750)
    var options = Environment.Options()
    options.mapBytes = 4 << 30
    environment = try Environment(directory.string, options)
    try write { try $0.put(.meta, "format_version", "1") }
  }

  /// Runs `body` in one transaction.
  public func write(_ body: (borrowing Writing) throws -> Void) throws {
    try environment.write { transaction in
      var databases: [Name: Database] = [:]
      for name in Name.allCases { databases[name] = try transaction.database(name.rawValue, create: true) }
      try withUnsafePointer(to: transaction) { try body(Writing(transaction: $0, databases: databases)) }
    }
  }

  public struct Writing: ~Copyable {
    let transaction: UnsafePointer<Transaction>
    let databases: [Name: Database]

    public func put(_ name: Name, _ key: [UInt8], _ value: [UInt8]) throws {
      guard let database = databases[name] else { return }
      try key.withUnsafeBytes { key in
        try value.withUnsafeBytes { try transaction.pointee.put(database, key, $0) }
      }
    }

    public func put(_ name: Name, _ key: String, _ value: String) throws {
      try put(name, Array(key.utf8), Array(value.utf8))
    }

    public func put(_ name: Name, _ number: UInt64, _ value: [UInt8]) throws {
      try put(name, withUnsafeBytes(of: number.bigEndian) { Array($0) }, value)
    }
  }
}
