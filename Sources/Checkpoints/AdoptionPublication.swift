import Glibc
import POSIX
import Reporting
import SystemPackage

/// Copies files that another program wrote into a durable checkpoint.
struct AdoptionPublication {
  let checkpoints: LocalCheckpoints
  let source: AdoptionSource
  /// Without files.
  let draft: Manifest
  let name: String
  /// Digest of the newest checkpoint, as `PublishedCheckpoint` has it.
  let known: Digest?

  /// - Parameter isUnchanged: whether the files are as they were before.
  func run(
    isUnchanged: @Sendable () -> Bool, isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> AdoptionOutcome {
    let directory = PublishingDirectory(checkpoints, cutID: draft.cutID)
    var bytes = 0
    do throws(POSIXError) {
      for file in source.files { bytes += try OpenFile(file.source, .readOnly).size() }
      try directory.prepare(bytes: bytes)
    } catch {
      if error.errno == .noSuchFileOrDirectory, !isUnchanged() { return .changed }
      throw directory.failure(error, bytes: bytes)
    }
    do throws(CheckpointError) {
      let outcome = try publish(directory, bytes, isUnchanged, isCancelled)
      if case .published = outcome {} else { directory.discard() }
      return outcome
    } catch {
      directory.discard()
      throw error
    }
  }

  private func publish(
    _ directory: PublishingDirectory, _ bytes: Int, _ isUnchanged: @Sendable () -> Bool,
    _ isCancelled: @Sendable () -> Bool
  ) throws(CheckpointError) -> AdoptionOutcome {
    var manifest = draft
    manifest.formatVersion = Manifest.currentVersion
    // Another program's file: unknown.
    manifest.worldSize = 0
    var contents = AdoptedContents(
      path: source.path, kind: source.kind, modifiedAt: source.modifiedAt, files: [])
    do throws(POSIXError) {
      for (number, file) in source.files.enumerated() {
        let name = Self.storedName(file.path, number: number, taken: manifest.files.map(\.name))
        let target = directory.path.appending(name)
        let copy = try FileCopy(
          of: OpenFile(file.source, .readOnly), to: target, mode: 0o640, isCancelled: isCancelled,
          progress: { checkpoints.progress?($0) })
        // Of the copy, which nothing else writes to.
        let completeness = try FileCompleteness(
          of: OpenFile(target, .readOnly), named: file.path, thorough: true)
        guard isUnchanged() else { return .changed }
        if let fault = completeness.fault, !isOptional(file) {
          return .incomplete(source.kind == .file ? fault : "\(file.path): \(fault)")
        }
        manifest.files.append(.init(name: name, bytes: copy.bytes, digest: copy.digest))
        contents.files.append(.init(file: name, path: file.path))
      }
    } catch {
      if !isUnchanged() { return .changed }
      throw directory.failure(error, bytes: bytes)
    }
    manifest.adopted = contents
    let digest = Self.digest(manifest.files, contents)
    if digest == known { return .same }
    let free = freeName
    let added = try directory.finish(manifest, as: free, bytes: bytes)
    return .published(
      PublishedCheckpoint(name: free, manifest: manifest, bytes: UInt64(bytes + added), digest: digest))
  }

  /// An empty file of a directory is nothing unusual.
  private func isOptional(_ file: AdoptionSource.File) -> Bool {
    guard source.kind == .directory else { return false }
    let suffixes = [".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".h5"]
    return !suffixes.contains { file.path.hasSuffix($0) }
  }

  /// Its own name if a checkpoint can have it, so that people recognize it.
  private static func storedName(_ path: String, number: Int, taken: [String]) -> String {
    let reserved =
      [
        LocalCheckpoints.manifestName, LocalCheckpoints.stateName, ".part-",
      ] + Digest.Algorithm.allCases.map(\.sumsName)
    guard LocalCheckpoints.isValid(path), !reserved.contains(where: { path.contains($0) }),
      !taken.contains(path)
    else { return "file-\(number + 1)" }
    return path
  }

  /// Of a file its own digest; of a directory that of all digests and paths.
  static func digest(_ files: [Manifest.File], _ contents: AdoptedContents) -> Digest {
    if contents.kind == .file, let only = files.first?.digest { return only }
    let lines = zip(files, contents.files).map { "\($0.digest?.hexadecimal ?? "")  \($1.path)\n" }.sorted()
    return Digest(of: Array(lines.joined().utf8))
  }

  private var freeName: String {
    let names = [name, "\(name)-\(draft.cutID.prefix(8))", "\(name)-\(draft.cutID)"]
    return names.first { !LocalCheckpoints.pathExists(checkpoints.path(of: $0)) } ?? names[2]
  }
}
