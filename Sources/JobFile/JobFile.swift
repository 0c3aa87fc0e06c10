import Glibc
import POSIX
public import SystemPackage

/// A job's valid configuration file.
public struct JobFile: Sendable {
  public let path: FilePath
  /// The values that it sets, in the order of `Setting.all`.
  public let given: [Given]

  /// A value that the file sets.
  public struct Given: Sendable {
    public let setting: Setting
    public let place: Place
    let node: Node
    let base: String
  }

  /// Bytes; no configuration is larger.
  static let longest = 1 << 20

  /// - Parameters:
  ///   - path: absolute; relative paths in the file are resolved against its directory.
  ///   - needsCommand: whether a file without `command` is invalid.
  public static func read(_ path: FilePath, needsCommand: Bool) throws(JobFileError) -> JobFile {
    try JobFile(bytes: load(path), path: path, needsCommand: needsCommand)
  }

  private static func load(_ path: FilePath) throws(JobFileError) -> [UInt8] {
    let bytes: [UInt8]
    do {
      // Not fstat: the file may grow while it is read.
      bytes = try OpenFile(path, .readOnly, followsLink: true).read(atMost: longest + 1)
    } catch {
      throw failure(path, error)
    }
    guard bytes.count <= longest else {
      throw JobFileError(
        .unreadable, path: path.string, "cannot read the configuration file", why: "larger than 1 MiB")
    }
    return bytes
  }

  private static func failure(_ path: FilePath, _ error: POSIXError) -> JobFileError {
    if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
      return JobFileError(.missing, path: path.string, "configuration file not found")
    }
    return JobFileError(
      .unreadable, path: path.string, "cannot read the configuration file", why: error.reason)
  }

  init(bytes: [UInt8], path: FilePath, needsCommand: Bool) throws(JobFileError) {
    self.path = path
    do {
      let source = try SourceText(bytes)
      let locator = Locator(source)
      let nodes = try TOMLDocument.parse(source, locator)
      var checker = Checker(source, locator, base: path.removingLastComponent().string)
      checker.check(nodes, needsCommand: needsCommand)
      if !checker.problems.isEmpty {
        throw Checker.Problems(all: checker.problems.sorted { $0.place < $1.place })
      }
      given = checker.given
    } catch {
      let problems = (error as? Checker.Problems)?.all ?? (error as? Problem).map { [$0] } ?? []
      throw JobFileError(.wrong, path: path.string, "invalid configuration file", problems: problems)
    }
  }
}
