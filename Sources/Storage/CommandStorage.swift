import Checkpoints
import POSIX
import Reporting
public import SystemPackage

/// Storage by a program of the user, in any language:
///
///     PROGRAM save KEY PATH    stores the directory PATH
///     PROGRAM load KEY PATH    fills the empty directory PATH
///     PROGRAM list             prints the keys, or JSON, one per line
///     PROGRAM remove KEY
///
/// Exit status 0 means that it is done; else the last line of standard error says why it is not. A complete example is
/// in *Formats*.
public struct CommandStorage: CheckpointStorage {
  public var name: String { "command \(VisibleText.line(command[0]))" }

  private let command: [String]
  private let environment: [String]
  private let redaction: Redaction
  /// For `list` and `remove`, which transfer little.
  private let timeout: Duration

  private static let largestList = 64 << 20

  /// - Parameters:
  ///   - command: the program and its first arguments; not empty.
  ///   - environment: of the program, `NAME=value`.
  ///   - timeout: for `list` and `remove`. The others may take any time, and are cancelled.
  public init(_ command: [String], environment: [String], timeout: Duration = .seconds(300)) {
    precondition(!command.isEmpty)
    self.command = command
    self.environment = environment
    self.timeout = timeout
    redaction = Redaction(environment: environment)
  }

  public func save(_ source: FilePath, as key: StorageKey, _ transfer: Transfer) throws(StorageError) {
    let files = try CheckpointSource(source)
    let verdict = LocalCheckpoints.verify(
      source, named: source.lastComponent?.string ?? "", thorough: true, isCancelled: transfer.isCancelled)
    if transfer.isCancelled() { throw .cancelled }
    if let fault = verdict.fault {
      throw StorageError(.damaged, fault, path: source, hint: "store an older checkpoint")
    }
    _ = try run(["save", key.text, source.string], timeout: nil, transfer.isCancelled)
    // A program that loses what it accepts is found at the first listing, and not by the next machine.
    guard try list(isCancelled: transfer.isCancelled).checkpoints.contains(where: { $0.key == key }) else {
      throw StorageError(
        .damaged, "\(name) saved \(key) but does not list it", hint: "\(Hint(command: command + ["list"]))")
    }
    transfer.progress(.init(completedBytes: UInt64(files.bytes), totalBytes: UInt64(files.bytes)))
  }

  public func load(
    _ key: StorageKey, into destination: FilePath, _ transfer: Transfer
  ) throws(StorageError) {
    let new = try NewCheckpoint(destination)
    new.discard()
    try new.prepare(bytes: 0, files: [])
    do throws(StorageError) {
      _ = try run(["load", key.text, new.aside.string], timeout: nil, transfer.isCancelled)
    } catch {
      new.discard()
      throw error
    }
    let bytes = (try? CheckpointSource(new.aside)).map { UInt64($0.bytes) } ?? 0
    try new.finish(transfer.isCancelled)
    transfer.progress(.init(completedBytes: bytes, totalBytes: bytes))
  }

  public func list(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> StorageListing {
    let text = try run(["list"], timeout: timeout, isCancelled)
    var checkpoints: [StorageKey: StoredCheckpoint] = [:]
    for (index, line) in text.split(separator: UInt8(ascii: "\n")).enumerated() {
      let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      if line.isEmpty { continue }
      guard let checkpoint = Self.checkpoint(line) else {
        throw StorageError(
          .program, "\(name): line \(index + 1) of its list is neither a key nor an object with one",
          hint: "\(Hint(command: command + ["list"]))")
      }
      checkpoints[checkpoint.key] = checkpoint
    }
    return StorageListing(checkpoints: checkpoints.values.sorted { $0.key < $1.key })
  }

  /// `KEY`, or `{"key":KEY,"bytes":…,"manifest":{…}}`.
  private static func checkpoint(_ line: ArraySlice<UInt8>) -> StoredCheckpoint? {
    guard line.first == UInt8(ascii: "{") else {
      return StorageKey(String(decoding: line, as: UTF8.self)).map { StoredCheckpoint(key: $0) }
    }
    guard let object = line.withUnsafeBytes({ try? JSONValue($0) })?.object,
      let key = object["key"]?.string.flatMap({ StorageKey($0) })
    else { return nil }
    let manifest = object["manifest"].flatMap { Manifest.decode(Array($0.text().utf8)) }
    return StoredCheckpoint(key: key, manifest: manifest, bytes: object["bytes"]?.counter)
  }

  public func remove(
    _ key: StorageKey, isCancelled: @escaping Transfer.Cancellation
  ) throws(StorageError) {
    _ = try run(["remove", key.text], timeout: timeout, isCancelled)
  }

  /// - Returns: its standard output.
  private func run(
    _ arguments: [String], timeout: Duration?, _ isCancelled: () -> Bool
  ) throws(StorageError) -> [UInt8] {
    var text: [UInt8] = []
    let verb = arguments[0]
    let ending: ProgramRun.Ending
    do throws(StorageError) {
      ending = try withoutActuallyEscaping(isCancelled) { isCancelled throws(StorageError) in
        try ProgramRun(
          arguments: command + arguments, environment: environment,
          output: { bytes throws(StorageError) in
            // Only a list is read.
            guard verb == "list" else { return }
            text.append(contentsOf: bytes)
            guard text.count <= Self.largestList else {
              throw StorageError(
                .program, "\(name): its list is larger than \(Words.bytes(UInt64(Self.largestList)))")
            }
          }, isCancelled: isCancelled, longestSilence: timeout
        ).run()
      }
    } catch {
      throw error.code == .unreachable
        ? StorageError(.unreachable, "\(name) \(verb): \(error.what)", why: error.why) : error
    }
    switch ending.status {
    case .exited(0): return text
    case .exited(let code): throw failed(verb, "exit status \(code)", ending.errors)
    case .signaled(let number): throw failed(verb, "killed by \(Words.signal(number))", ending.errors)
    }
  }

  private func failed(_ verb: String, _ status: String, _ errors: [UInt8]) -> StorageError {
    let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
    let last = lines.last { $0.contains { !$0.isWhitespace } }
    let reason = last.map { redaction.excerpt(String($0)) } ?? "it printed no reason"
    return StorageError(.io, "\(name) \(verb) failed", why: "\(reason) (\(status))")
  }
}
