import Checkpoints
import Glibc
import POSIX
import Reporting
public import SystemPackage
import TrainerProtocol

// Where a run continues, and checkpoints without a supervisor.
extension Run {
  /// The supervisor reads the resume point while this process starts; here it waits for the verdict.
  /// - Returns: where to continue; nil: at the beginning.
  func awaitResumePoint() throws(HoldfastError) -> ResumeFile.Point? {
    guard let ring, let runDirectory else { return nil }
    var seen = ring.verifiedBytes
    var patienceEnds = Clock.monotonicNanoseconds + Self.verdictPatience
    var pause: UInt32 = 100
    while ring.verdict == .pending {
      usleep(pause)
      pause = min(pause * 2, 10_000)
      ring.beat()
      if ring.verifiedBytes != seen {
        seen = ring.verifiedBytes
        patienceEnds = Clock.monotonicNanoseconds + Self.verdictPatience
      }
      guard Clock.monotonicNanoseconds < patienceEnds else {
        throw HoldfastError(
          .cannotRestore, "the supervisor does not say whether the resume point is whole", path: runDirectory,
          hint: "is it stopped, or its disk stalled? holdfast status shows how it is")
      }
    }
    if ring.verdict == .replaced {
      do {
        resumeFile = try ResumeFile.read(in: runDirectory)
      } catch {
        throw HoldfastError(.cannotRestore, error)
      }
    }
    return resumeFile?.ranks.first?.point
  }

  /// Without any progress of the supervisor's.
  private static let verdictPatience: UInt64 = 60_000_000_000

  func restore(_ point: ResumeFile.Point) throws(HoldfastError) {
    try restore(
      FilePath(point.path), offsetBytes: point.offsetBytes, lengthBytes: point.lengthBytes,
      expected: point.step)
  }

  /// - Parameter expected: the step that the image must be of; nil: any.
  private func restore(
    _ path: FilePath, offsetBytes: UInt64, lengthBytes: UInt64, expected: UInt64?
  ) throws(HoldfastError) {
    var failure: HoldfastError?
    do throws(POSIXError) {
      let file = try OpenFile(path, .readOnly)
      let size = try file.size()
      guard offsetBytes <= UInt64(size), lengthBytes <= UInt64(size) - offsetBytes,
        lengthBytes > 0
      else { throw POSIXError("read", path: path, errno: .invalidArgument) }
      let mapping = try MappedFile(file, count: size, access: .readOnly, faults: .fatal)
      let begin = Int(offsetBytes)
      let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[begin..<begin + Int(lengthBytes)])
      do throws(HoldfastError) { try load(bytes, expected: expected, path) } catch { failure = error }
      withExtendedLifetime(mapping) {}
    } catch {
      throw HoldfastError(
        .cannotRestore, "the checkpoint cannot be read", error,
        hint: "holdfast checkpoints list shows what there is")
    }
    if let failure { throw failure }
  }

  private func load(
    _ bytes: UnsafeRawBufferPointer, expected: UInt64?, _ path: FilePath
  ) throws(HoldfastError) {
    let image: ImageReader
    do {
      image = try ImageReader(bytes)
    } catch {
      throw HoldfastError(.cannotRestore, error, hint: "holdfast checkpoints verify names what is damaged")
    }
    if let expected, image.loop.step != expected {
      throw HoldfastError(
        .cannotRestore, "the image is of step \(image.loop.step), not \(expected)", path: path,
        hint: "holdfast checkpoints list shows what there is")
    }
    try load(image, path)
  }

  private func load(_ image: ImageReader, _ path: FilePath) throws(HoldfastError) {
    let names = Set(components.map(\.name))
    let unknown = image.components.keys.filter { !names.contains($0) }.sorted()
    guard unknown.isEmpty else {
      throw HoldfastError(
        .cannotRestore, "the checkpoint has state of \(unknown.joined(separator: ", ")), not registered here",
        path: path, hint: "register the same components as the run that saved it")
    }
    for (name, object) in components {
      guard let state = image.components[name] else {
        throw HoldfastError(
          .cannotRestore, "the checkpoint has no state of '\(name)'", path: path,
          hint: "register the same components as the run that saved it")
      }
      do {
        try object.load(state)
      } catch {
        throw HoldfastError(
          .cannotRestore, "'\(name)': \(error.what)", path: path, hint: "the model changed?")
      }
    }
    counters.pointee = Counters(
      step: image.loop.step, epoch: image.loop.epoch, batch: image.loop.batch, samples: image.loop.samples)
    for (name, source) in randoms {
      let words = try words(of: name, "rng", image.loop, RandomSource.wordCount, path)
      for (index, word) in words.enumerated() { source.words[index] = word }
    }
    for (name, sampler) in samplers {
      let words = try words(of: name, "sampler", image.loop, Sampler.wordCount, path)
      if let misfit = sampler.load(words) {
        throw HoldfastError(
          .cannotRestore, "sampler '\(name)': \(misfit)", path: path,
          hint: "a run continues with the data it began with; start another job for other data")
      }
    }
  }

  private func words(
    of name: String, _ kind: String, _ loop: ImageLoop, _ count: Int, _ path: FilePath
  ) throws(HoldfastError) -> [UInt64] {
    guard let part = loop.parts.first(where: { $0.kind == kind && $0.name == name }),
      part.bytes.count == count * 8
    else {
      throw HoldfastError(
        .cannotRestore, "the checkpoint has no \(kind) '\(name)'", path: path,
        hint: "make the same random sources and samplers as the run that saved it")
    }
    return part.bytes.withUnsafeBytes { bytes in
      (0..<count).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
    }
  }

  // MARK: Without a supervisor

  private static func isURL(_ path: FilePath, _ code: HoldfastErrorCode) -> HoldfastError {
    HoldfastError(
      code, "this is a URL, and checkpoints are saved and loaded on this machine only", path: path,
      hint: "name a directory; copy a checkpoint's whole directory to or from remote storage")
  }

  /// Saves a checkpoint into `directory`, published as the supervisor publishes them.
  /// - Returns: its path, for `load(from:)`.
  @discardableResult
  public func save(to directory: FilePath, job: String = "standalone") throws(HoldfastError) -> FilePath {
    if directory.isURL { throw Self.isURL(directory, .cannotSave) }
    let image = makeImage()
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.imageBytes, alignment: 4096)
    defer { bytes.deallocate() }
    image.write(into: bytes)
    let cut = CutID()
    let identity = resumeFile?.jobID ?? JobID()
    let checkpoints = LocalCheckpoints(directory: directory, followsLink: true)
    do {
      var manifest = Manifest(
        job: job, jobID: identity.hexadecimal, attempt: 0, generation: 0, cutID: cut.hexadecimal, step: step,
        epoch: epoch, batch: batch, samples: samples, createdAt: Timestamp.text(Clock.wallNanoseconds),
        metrics: metricValues)
      manifest.hyperparameters = hyperparameters
      return checkpoints.path(
        of: try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest).name)
    } catch {
      throw HoldfastError(.cannotSave, error, hint: "df \(directory)")
    }
  }

  /// Loads a checkpoint's directory, after verifying all of it.
  public func load(from checkpoint: FilePath) throws(HoldfastError) {
    if checkpoint.isURL { throw Self.isURL(checkpoint, .cannotRestore) }
    let checkpoints = LocalCheckpoints(directory: checkpoint.removingLastComponent())
    let name = checkpoint.lastComponent?.string ?? ""
    if let fault = checkpoints.verify(name, thorough: true).fault {
      throw HoldfastError(
        .cannotRestore, fault, path: checkpoint, hint: "use an older checkpoint")
    }
    let path = checkpoint.appending(LocalCheckpoints.stateName)
    let size = (try? OpenFile(path, .readOnly).size()) ?? 0
    try restore(path, offsetBytes: 0, lengthBytes: UInt64(size), expected: nil)
  }
}
