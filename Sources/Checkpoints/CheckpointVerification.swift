import Glibc
import POSIX
import Reporting
import SystemPackage

/// Checks a checkpoint's files against its manifest and its file of digests.
struct CheckpointVerification {
  let path: FilePath
  let name: String
  /// Whether to read all files and compare digests; otherwise only sizes and the manifest are checked.
  let thorough: Bool
  /// Called with the number of bytes of each chunk, on the reading thread.
  let progress: (@Sendable (Int) -> Void)?
  /// Called before each chunk.
  var isCancelled: @Sendable () -> Bool = { false }

  /// Damage and the file that has it.
  private struct Fault: Error {
    var file: String
    var what: String
  }

  func run() -> Verdict {
    do throws(Fault) {
      return .verified(try examine())
    } catch {
      return .damaged(file: error.file, what: error.what)
    }
  }

  private func examine() throws(Fault) -> Manifest {
    let kind = FileKind.of(path)
    guard kind == .directory else {
      throw Fault(file: name, what: kind.map { "not a directory: it is \($0.rawValue)" } ?? "missing")
    }
    let text = try text(LocalCheckpoints.manifestName)
    let algorithm = algorithm
    let sums = try sums(algorithm)
    guard let expected = sums[LocalCheckpoints.manifestName] else {
      throw Fault(file: algorithm.sumsName, what: "has no entry for \(LocalCheckpoints.manifestName)")
    }
    let digest = Digest(of: text, algorithm)
    guard digest == expected else {
      throw Fault(file: LocalCheckpoints.manifestName, what: digest.mismatch(expected))
    }
    let manifest = try Self.manifest(text)
    var listed = Set([LocalCheckpoints.manifestName])
    for file in manifest.files {
      guard LocalCheckpoints.isValid(file.name), listed.insert(file.name).inserted else {
        throw Fault(
          file: LocalCheckpoints.manifestName, what: "file name '\(file.name)' is invalid or listed twice")
      }
      guard let digest = file.digest else {
        throw Fault(
          file: LocalCheckpoints.manifestName,
          what: "the digest of \(file.name) has an unknown algorithm: update holdfast")
      }
      guard sums[file.name] == digest else {
        throw Fault(file: algorithm.sumsName, what: "disagrees with the manifest about \(file.name)")
      }
    }
    let isComplete =
      if let adopted = manifest.adopted {
        adopted.isSafe
          && Set(adopted.files.map(\.file)) == listed.subtracting([LocalCheckpoints.manifestName])
      } else {
        listed.contains(LocalCheckpoints.stateName)
      }
    guard isComplete, listed.count == sums.count else {
      throw Fault(
        file: LocalCheckpoints.manifestName,
        what: "does not list the same files as \(algorithm.sumsName)")
    }
    for file in manifest.files { try check(file) }
    return manifest
  }

  private static func manifest(_ text: [UInt8]) throws(Fault) -> Manifest {
    let document = text.withUnsafeBytes { try? JSONValue($0) }
    guard let version = document?.object?["format_version"]?.count else {
      throw Fault(file: LocalCheckpoints.manifestName, what: "not a manifest")
    }
    guard version <= Manifest.currentVersion else {
      throw Fault(file: LocalCheckpoints.manifestName, what: "format \(version) is from a newer holdfast")
    }
    guard let manifest = Manifest.decode(text) else {
      throw Fault(file: LocalCheckpoints.manifestName, what: "not a manifest")
    }
    return manifest
  }

  // MARK: Digests

  /// That of the checkpoint's file of digests.
  private var algorithm: Digest.Algorithm {
    let found = Digest.Algorithm.allCases.first { FileKind.of(path.appending($0.sumsName)) != nil }
    return found ?? .current
  }

  /// Digests by file name.
  private func sums(_ algorithm: Digest.Algorithm) throws(Fault) -> [String: Digest] {
    let digits = algorithm.hexadecimalDigits
    var sums: [String: Digest] = [:]
    for (index, line) in try text(algorithm.sumsName).split(separator: UInt8(ascii: "\n")).enumerated() {
      let digest = Digest(algorithm, String(decoding: line.prefix(digits), as: UTF8.self))
      let name = String(decoding: line.dropFirst(digits + 2), as: UTF8.self)
      guard digest.hexadecimal.utf8.count == digits,
        line.dropFirst(digits).prefix(2).elementsEqual("  ".utf8), LocalCheckpoints.isValid(name),
        sums.updateValue(digest, forKey: name) == nil
      else {
        throw Fault(file: algorithm.sumsName, what: "line \(index + 1) is not a digest and a name")
      }
    }
    return sums
  }

  // MARK: Files

  private func open(_ name: String) throws(Fault) -> (file: OpenFile, bytes: Int) {
    do throws(POSIXError) {
      let file = try OpenFile(path.appending(name), .readOnly)
      return (file, try file.size())
    } catch {
      if error.isMisplaced { throw Fault(file: name, what: "not a plain file: \(error.reason)") }
      switch error.errno {
      case .noSuchFileOrDirectory: throw Fault(file: name, what: "missing")
      default: throw Fault(file: name, what: "cannot be read: \(error.errno)")
      }
    }
  }

  /// Maximum size of a text file.
  private static let largestText = 64 << 20

  private func text(_ name: String) throws(Fault) -> [UInt8] {
    let (file, size) = try open(name)
    guard size <= Self.largestText else { throw Fault(file: name, what: "\(size) bytes, which is too large") }
    var text: [UInt8] = []
    try read(name, file) { text.append(contentsOf: $0) }
    return text
  }

  private func check(_ expected: Manifest.File) throws(Fault) {
    let (file, size) = try open(expected.name)
    guard UInt64(size) == expected.bytes else {
      let what =
        UInt64(size) < expected.bytes
        ? "truncated to \(size) of \(expected.bytes) bytes" : "\(size) bytes instead of \(expected.bytes)"
      throw Fault(file: expected.name, what: what)
    }
    guard thorough, let wanted = expected.digest else { return }
    let digest = DigestComputation(wanted.algorithm)
    try read(expected.name, file) { digest.update($0) }
    let found = digest.finish()
    guard found == wanted else { throw Fault(file: expected.name, what: found.mismatch(wanted)) }
  }

  /// Reads, as a mapping would raise SIGBUS at a bad sector.
  private func read(
    _ name: String, _ file: OpenFile, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(Fault) {
    posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    let ahead = ReadAhead(file, bytes: (try? file.size()) ?? 0)
    defer { ahead.stop() }
    var offset = 0
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    do throws(POSIXError) {
      while true {
        if isCancelled() { break }
        let count = try posix("read", file.path) {
          Glibc.read(file.descriptor, chunk.baseAddress, chunk.count)
        }
        if count == 0 { return }
        offset += count
        ahead.advance(to: offset)
        body(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
        progress?(count)
      }
    } catch {
      throw Fault(file: name, what: "cannot be read: \(error.errno)")
    }
    throw Fault(file: name, what: "not read to its end: cancelled")
  }
}
