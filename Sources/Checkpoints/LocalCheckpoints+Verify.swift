import Glibc
import POSIX
import Reporting
import SystemPackage
public import TrainerProtocol

extension LocalCheckpoints {
  /// What is wrong, and in which file.
  private struct Fault: Error {
    var file: String
    var what: String
  }

  /// - Parameter thorough: read everything and compare digests; else look at sizes and the manifest.
  public func verify(_ name: String, thorough: Bool) -> Verdict {
    do throws(Fault) {
      return .verified(try examine(name, thorough: thorough))
    } catch {
      return .damaged(file: error.file, what: error.what)
    }
  }

  /// As `verify`, and whether it is what is wanted.
  /// - Parameter step: that the store says it is of; nil: any.
  public func verify(_ name: String, of job: JobID, step: UInt64?, thorough: Bool) -> Verdict {
    let verdict = verify(name, thorough: thorough)
    guard let manifest = verdict.manifest else { return verdict }
    if manifest.jobID != job.hexadecimal {
      return .damaged(file: Self.manifestName, what: "belongs to another job")
    }
    if let step, manifest.step != step {
      return .damaged(file: Self.manifestName, what: "is of step \(manifest.step), not \(step)")
    }
    return verdict
  }

  private func examine(_ name: String, thorough: Bool) throws(Fault) -> Manifest {
    guard Self.isValid(name) else { throw Fault(file: name, what: "not a checkpoint's name") }
    let path = path(of: name)
    let kind = FileKind.of(path)
    guard kind == .directory else {
      throw Fault(file: name, what: kind.map { "not a directory: it is \($0.rawValue)" } ?? "missing")
    }
    let text = try text(Self.manifestName, path)
    let sums = try Self.sums(try self.text(Self.digestsName, path))
    guard let expected = sums[Self.manifestName] else {
      throw Fault(file: Self.digestsName, what: "does not name \(Self.manifestName)")
    }
    let digest = SHA256.hex(text)
    guard digest == expected else {
      throw Fault(file: Self.manifestName, what: SHA256.mismatch(digest, expected))
    }
    let manifest = try Self.manifest(text)
    var listed = Set([Self.manifestName])
    for file in manifest.files {
      guard Self.isValid(file.name), listed.insert(file.name).inserted else {
        throw Fault(file: Self.manifestName, what: "'\(file.name)' is no name of a file, or there twice")
      }
      guard sums[file.name] == file.sha256 else {
        throw Fault(file: Self.digestsName, what: "disagrees with the manifest about \(file.name)")
      }
    }
    guard listed.contains(Self.stateName), listed.count == sums.count else {
      throw Fault(file: Self.manifestName, what: "does not list the files that there are")
    }
    for file in manifest.files { try check(file, path, thorough: thorough) }
    return manifest
  }

  private static func manifest(_ text: [UInt8]) throws(Fault) -> Manifest {
    let document = text.withUnsafeBytes { try? JSONValue($0) }
    guard let version = document?.object?["format_version"]?.count else {
      throw Fault(file: manifestName, what: "not a manifest")
    }
    guard version <= Manifest.currentVersion else {
      throw Fault(file: manifestName, what: "format \(version) of a newer holdfast")
    }
    guard let manifest = Manifest.decode(text) else {
      throw Fault(file: manifestName, what: "not a manifest")
    }
    return manifest
  }

  // MARK: Digests

  /// What `sha256sum --check` reads.
  static func digests(_ manifest: Manifest, manifestText: [UInt8]) -> [UInt8] {
    let lines = manifest.files.map { "\($0.sha256)  \($0.name)\n" }
    return Array("\(lines.joined())\(SHA256.hex(manifestText))  \(manifestName)\n".utf8)
  }

  /// Digests by name.
  private static func sums(_ text: [UInt8]) throws(Fault) -> [String: String] {
    var sums: [String: String] = [:]
    for (index, line) in text.split(separator: UInt8(ascii: "\n")).enumerated() {
      let digest = String(decoding: line.prefix(64), as: UTF8.self)
      let name = String(decoding: line.dropFirst(66), as: UTF8.self)
      guard digest.utf8.count == 64, line.dropFirst(64).prefix(2).elementsEqual("  ".utf8), isValid(name),
        sums.updateValue(digest, forKey: name) == nil
      else { throw Fault(file: digestsName, what: "line \(index + 1) is no digest and name") }
    }
    return sums
  }

  // MARK: Files

  private func open(_ name: String, _ path: FilePath) throws(Fault) -> (file: OpenFile, bytes: Int) {
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

  /// A file of text that is larger than this is none of ours.
  private static let largestText = 64 << 20

  private func text(_ name: String, _ path: FilePath) throws(Fault) -> [UInt8] {
    let (file, size) = try open(name, path)
    guard size <= Self.largestText else { throw Fault(file: name, what: "\(size) bytes, which is too long") }
    var text: [UInt8] = []
    try read(name, file) { text.append(contentsOf: $0) }
    return text
  }

  private func check(_ expected: Manifest.File, _ path: FilePath, thorough: Bool) throws(Fault) {
    let (file, size) = try open(expected.name, path)
    guard UInt64(size) == expected.bytes else {
      let what =
        UInt64(size) < expected.bytes
        ? "truncated to \(size) of \(expected.bytes) bytes" : "\(size) bytes instead of \(expected.bytes)"
      throw Fault(file: expected.name, what: what)
    }
    guard thorough else { return }
    let digest = SHA256()
    try read(expected.name, file) { digest.update($0) }
    let found = digest.finish()
    guard found == expected.sha256 else {
      throw Fault(file: expected.name, what: SHA256.mismatch(found, expected.sha256))
    }
  }

  /// Reads, where a mapping would answer a bad sector with SIGBUS.
  private func read(
    _ name: String, _ file: OpenFile, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(Fault) {
    // Advice only: it doubles the kernel's read-ahead.
    posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    do throws(POSIXError) {
      while true {
        let count = try posix("read", file.path) {
          Glibc.read(file.descriptor, chunk.baseAddress, chunk.count)
        }
        if count == 0 { return }
        body(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
        progress?(count)
      }
    } catch {
      throw Fault(file: name, what: "cannot be read: \(error.errno)")
    }
  }
}
