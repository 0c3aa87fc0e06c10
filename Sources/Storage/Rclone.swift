import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// Runs rclone, 1.60 or later.
struct Rclone: Sendable {
  /// Place that paths are relative to.
  let remote: RcloneRemote
  private let environment: [String]
  private let redaction: Redaction
  private let timeout: Duration

  private static let program = "rclone"

  /// - Parameters:
  ///   - environment: with the variables that configure rclone.
  ///   - timeout: the longest time without progress.
  init(_ remote: RcloneRemote, environment: [String], timeout: Duration) {
    self.remote = remote
    self.environment = environment.filter { !Self.isUnsuitable($0) } + remote.environment
    self.timeout = timeout
    redaction = Redaction(environment: environment, secrets: remote.secrets)
  }

  /// Variables that would change what the commands print or which files they see.
  private static func isUnsuitable(_ entry: String) -> Bool {
    let prefixes = [
      "LOG_", "STATS", "PROGRESS", "VERBOSE", "QUIET", "DRY_RUN", "INTERACTIVE", "INCLUDE", "EXCLUDE",
      "FILTER",
      "FILES_FROM", "MIN_", "MAX_AGE", "MAX_SIZE", "MAX_DEPTH", "MAX_TRANSFER", "MAX_DURATION",
      "USE_JSON_LOG",
      "SYSLOG", "RC", "IMMUTABLE", "MULTI_THREAD",
    ]
    return prefixes.contains { entry.hasPrefix("RCLONE_" + $0) && !entry.hasPrefix("RCLONE_RCLONE") }
  }

  private func options() -> [String] {
    let seconds = max(1, Int(timeout / .seconds(1)))
    return [
      "--use-json-log", "--ask-password=false", "--retries", "1", "--low-level-retries", "2",
      // After too long a silence rclone is ended, and does not repeat its request.
      "--contimeout", "\(min(15, seconds))s", "--timeout", "\(seconds + 30)s",
      // One request for each object, so that its hash is that of its contents and an interruption leaves nothing.
      // 5 GiB is the limit of S3.
      "--s3-upload-cutoff", "5Gi",
    ]
  }

  /// - Parameters:
  ///   - command: rclone's command and its options.
  ///   - path: below the remote.
  ///   - target: a further argument.
  ///   - operation: for messages: `cannot list`.
  /// - Throws: the reason that rclone printed.
  func run(
    _ command: [String], _ path: String?, to target: String? = nil, _ operation: String,
    input: ((UnsafeMutableRawBufferPointer) throws(StorageError) -> Int)? = nil,
    output: (UnsafeRawBufferPointer) throws(StorageError) -> Void = { _ in },
    isCancelled: () -> Bool
  ) throws(StorageError) {
    let place = path.map { remote.appending($0) } ?? remote
    let ending = try withoutActuallyEscaping(isCancelled) { isCancelled throws(StorageError) in
      try withoutActuallyEscaping(output) { output throws(StorageError) in
        do throws(StorageError) {
          return try ProgramRun(
            arguments: [Self.program] + command + options() + [place.argument] + (target.map { [$0] } ?? []),
            environment: environment,
            input: input, output: output, isCancelled: isCancelled, longestSilence: timeout
          ).run()
        } catch {
          guard error.code == .unreachable else { throw Self.installed(error) }
          throw StorageError(
            .unreachable, "\(operation): \(error.what)", path: FilePath(place.description), why: error.why,
            errno: error.errno, hint: "check the network and the storage service")
        }
      }
    }
    if ending.status == .exited(0) { return }
    let failure = RcloneFailure(ending.errors, ending.status)
    throw failure.error("\(operation)", place, redaction)
  }

  private static func installed(_ error: StorageError) -> StorageError {
    guard error.code == .program, error.why == "not found" else { return error }
    var error = error
    error.hint = "sudo apt install rclone"
    return error
  }

  // MARK: Commands

  /// An object or a file.
  struct Object: Hashable, Sendable {
    var bytes: Int
    /// Nil if the remote did not report one.
    var hash: String?
  }

  /// Objects by their path below `path`. Empty if there is no such directory.
  func list(
    _ path: String, hash: ContentHash.Algorithm?, recursive: Bool = false, isCancelled: () -> Bool
  ) throws(StorageError) -> [String: Object] {
    var command = ["lsjson", "--files-only", "--no-modtime", "--no-mimetype"]
    if recursive { command.append("--recursive") }
    if let hash { command += ["--hash", "--hash-type", hash.rawValue] }
    let text: [UInt8]
    do throws(StorageError) {
      text = try read(command, path, "cannot list", isCancelled)
    } catch {
      if error.code == .missing { return [:] }
      throw error
    }
    guard let entries = text.withUnsafeBytes({ try? JSONValue($0) })?.array else {
      throw StorageError(.program, "rclone printed something that is not a list of files")
    }
    var objects: [String: Object] = [:]
    for entry in entries {
      guard let object = entry.object, let path = object["Path"]?.string, let bytes = object["Size"]?.count
      else {
        // A size of -1: the remote does not know it, as for a document of Google Docs.
        continue
      }
      let value = hash.flatMap { object["Hashes"]?.object?[$0.rawValue]?.string?.lowercased() }
      objects[path] = Object(bytes: bytes, hash: value?.isEmpty == true ? nil : value)
    }
    return objects
  }

  /// The hash that the remote computes of its objects; nil if it has none that is known here.
  func hash(isCancelled: () -> Bool) throws(StorageError) -> ContentHash.Algorithm? {
    let text = try read(["backend", "features"], nil, "cannot access", isCancelled)
    let names =
      text.withUnsafeBytes { try? JSONValue($0) }?.object?["Hashes"]?.array?.compactMap(\.string) ?? []
    return ContentHash.Algorithm.allCases.first { names.contains($0.rawValue) && ContentHash($0) != nil }
  }

  /// Writes an object of `bytes` bytes, which `input` returns.
  func write(
    _ path: String, bytes: Int, isCancelled: () -> Bool,
    input: @escaping (UnsafeMutableRawBufferPointer) throws(StorageError) -> Int
  ) throws(StorageError) {
    do throws(StorageError) {
      try run(
        ["rcat", "--size", "\(bytes)"], path, "cannot store", input: input, isCancelled: isCancelled)
    } catch {
      // rclone asks for the new object. Unlike a missing bucket, a missing object is not a missing place.
      let why = error.why?.lowercased() ?? ""
      guard error.code == .missing, why.contains("object not found") || why.contains("nosuchkey") else {
        throw error
      }
      throw lost(path, error.why)
    }
  }

  /// The remote does not have what was sent to it.
  func lost(_ path: String, _ why: String?) -> StorageError {
    StorageError(
      .damaged, "the storage did not retain what it accepted",
      path: FilePath(remote.appending(path).description), why: why, hint: "check the storage service")
  }

  func write(_ path: String, _ bytes: [UInt8], isCancelled: () -> Bool) throws(StorageError) {
    try write(path, bytes: bytes.count, isCancelled: isCancelled, input: Self.input(bytes))
  }

  private static func input(
    _ bytes: [UInt8]
  ) -> (UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
    var rest = bytes[...]
    return { buffer in
      let count = min(buffer.count, rest.count)
      buffer.copyBytes(from: rest.prefix(count))
      rest = rest.dropFirst(count)
      return count
    }
  }

  /// Reads many small objects, by their names below `path`. Those that cannot be read are missing in the result.
  func texts(
    _ names: [String], in path: String, isCancelled: () -> Bool
  ) throws(StorageError) -> [String: [UInt8]] {
    if names.isEmpty { return [:] }
    let directory = try TemporaryDirectory(environment: environment)
    do throws(StorageError) {
      let list = names.map { $0 + "\n" }.joined()
      try run(
        ["copy", "--files-from-raw", "-", "--no-traverse", "--transfers", "8"], path,
        to: directory.path.string,
        "cannot read", input: Self.input(Array(list.utf8)), isCancelled: isCancelled)
    } catch {
      // Other errors concern single objects; those that could be read are there.
      guard ![.unreachable, .denied, .program, .cancelled, .noRoom].contains(error.code) else { throw error }
    }
    var texts: [String: [UInt8]] = [:]
    for name in names { texts[name] = try? FileSystem.read(directory.path.pushing(FilePath(name))) }
    return texts
  }

  /// Reads an object. A missing one may be empty.
  func read(
    _ path: String, isCancelled: () -> Bool,
    output: (UnsafeRawBufferPointer) throws(StorageError) -> Void
  ) throws(StorageError) {
    try run(["cat"], path, "cannot read", output: output, isCancelled: isCancelled)
  }

  /// Removes one file in a directory. It is not an error if there is none.
  func remove(_ name: String, in path: String, isCancelled: () -> Bool) throws(StorageError) {
    try ignoringMissing {
      () throws(StorageError) in
      try run(
        ["delete", "--max-depth", "1", "--include", "/" + name], path, "cannot remove",
        isCancelled: isCancelled)
    }
  }

  /// Removes a directory. It is not an error if there is none.
  func removeDirectory(_ path: String, isCancelled: () -> Bool) throws(StorageError) {
    try ignoringMissing { () throws(StorageError) in
      try run(["purge"], path, "cannot remove", isCancelled: isCancelled)
    }
  }

  private func ignoringMissing(_ body: () throws(StorageError) -> Void) throws(StorageError) {
    do throws(StorageError) { try body() } catch { if error.code != .missing { throw error } }
  }

  private static let largestText = 256 << 20

  private func read(
    _ command: [String], _ path: String?, _ operation: String, _ isCancelled: () -> Bool
  ) throws(StorageError) -> [UInt8] {
    var text: [UInt8] = []
    try run(
      command, path, operation,
      output: { bytes throws(StorageError) in
        text.append(contentsOf: bytes)
        guard text.count <= Self.largestText else {
          throw StorageError(.program, "rclone printed more than \(Words.bytes(UInt64(Self.largestText)))")
        }
      }, isCancelled: isCancelled)
    return text
  }
}
