import Checkpoints
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

/// The state that a run saves and restores: components, random sources, samplers and loop counters.
final class RegisteredState {
  struct Counters {
    var step: UInt64 = 0
    var epoch: UInt64 = 0
    var batch: UInt64 = 0
    var samples: UInt64 = 0
  }

  /// In separate memory, to avoid exclusivity checks of properties in each step.
  let counters: UnsafeMutablePointer<Counters>
  let components = Components()
  private(set) var randoms: [(name: String, source: RandomSource)] = []
  private(set) var samplers: [(name: String, sampler: Sampler)] = []
  /// Random sources and samplers in the encoding of snapshots.
  var parts = SnapshotParts()
  /// The first sampler's position; valid while `samplers` retains it.
  private(set) var position: UnsafePointer<UInt64>?

  init() {
    counters = .allocate(capacity: 1)
    counters.initialize(to: Counters())
  }

  deinit {
    counters.deallocate()
    parts.free()
  }

  // MARK: Registering

  func register(_ name: String, _ source: RandomSource) {
    randoms.append((name, source))
    parts.add(.rng, name, source.words, RandomSource.wordCount)
  }

  /// - Returns: whether it is the first sampler.
  func register(_ name: String, _ sampler: Sampler) -> Bool {
    let isFirst = samplers.isEmpty
    if isFirst { position = UnsafePointer(sampler.words + 2) }
    samplers.append((name, sampler))
    parts.add(.sampler, name, sampler.words, Sampler.wordCount)
    return isFirst
  }

  func beginEpoch(_ number: UInt64) {
    counters.pointee.epoch = number
    counters.pointee.batch = 0
    for (_, sampler) in samplers { sampler.seek(epoch: number) }
  }

  /// Whether the first sampler has returned all batches of the epoch.
  var isAtEndOfEpoch: Bool {
    samplers.first.map { $0.sampler.position >= UInt64($0.sampler.batchesPerEpoch) } ?? false
  }

  // MARK: Saving

  /// The whole state as an image.
  func image() -> ImageWriter {
    var saved: [ImageLoop.Part] = []
    for (name, source) in randoms {
      saved.append(.init(kind: "rng", name: name, bytes: bytes(source.words, RandomSource.wordCount)))
    }
    for (name, sampler) in samplers {
      saved.append(.init(kind: "sampler", name: name, bytes: bytes(sampler.words, Sampler.wordCount)))
    }
    let loop = ImageLoop(
      step: counters.pointee.step, epoch: counters.pointee.epoch, batch: counters.pointee.batch,
      samples: counters.pointee.samples, parts: saved)
    return ImageWriter(components.states(), loop: loop)
  }

  private func bytes(_ words: UnsafeMutablePointer<UInt64>, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: words, count: count * 8))
  }

  // MARK: Restoring

  /// - Parameters:
  ///   - expected: required step of the image; nil for any.
  ///   - weightsOnly: load only components that consist of tensors, and nothing else.
  ///   - mapped: the file, if it is mapped already.
  func restore(
    _ path: FilePath, offsetBytes: UInt64, lengthBytes: UInt64, expected: UInt64?, weightsOnly: Bool = false,
    _ mapped: MappedFile? = nil
  ) throws(HoldfastError) {
    var failure: HoldfastError?
    do throws(POSIXError) {
      let file = try OpenFile(path, .readOnly)
      let size = try file.size()
      guard offsetBytes <= UInt64(size), lengthBytes <= UInt64(size) - offsetBytes,
        lengthBytes > 0
      else { throw POSIXError("read", path: path, errno: .invalidArgument) }
      let mapping =
        if let mapped, mapped.count == size { mapped } else {
          try MappedFile(file, count: size, access: .readOnly, faults: .fatal)
        }
      let begin = Int(offsetBytes)
      let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[begin..<begin + Int(lengthBytes)])
      do throws(HoldfastError) { try load(bytes, expected: expected, weightsOnly: weightsOnly, path) } catch {
        failure = error
      }
      withExtendedLifetime(mapping) {}
    } catch {
      throw HoldfastError(
        .cannotRestore, "cannot read the checkpoint", error,
        hint: "holdfast checkpoints list shows all checkpoints")
    }
    if let failure { throw failure }
  }

  private func load(
    _ bytes: UnsafeRawBufferPointer, expected: UInt64?, weightsOnly: Bool, _ path: FilePath
  ) throws(HoldfastError) {
    let image: ImageReader
    do {
      image = try ImageReader(bytes)
    } catch {
      throw HoldfastError(.cannotRestore, error, hint: "holdfast checkpoints verify shows the damage")
    }
    if weightsOnly {
      let weights = image.components.filter { Self.isWeights($0.value) }
      return try components.load(weights, strict: false, path)
    }
    if let expected, image.loop.step != expected {
      throw HoldfastError(
        .cannotRestore, "the image is of step \(image.loop.step), not \(expected)", path: path,
        hint: "holdfast checkpoints list shows all checkpoints")
    }
    try load(image, strict: true, path)
  }

  /// Whether a component consists of tensors only, unlike an optimizer, which also has counters.
  private static func isWeights(_ state: StateValue) -> Bool {
    switch state {
    case .tensor: true
    case .object(let members): !members.isEmpty && members.values.allSatisfy(isWeights)
    case .array(let elements): !elements.isEmpty && elements.allSatisfy(isWeights)
    default: false
    }
  }

  /// - Parameters:
  ///   - strict: whether the image must contain exactly the registered components.
  ///   - path: for errors.
  func load(_ image: ImageReader, strict: Bool, _ path: FilePath) throws(HoldfastError) {
    try components.load(image.components, strict: strict, path)
    counters.pointee = Counters(
      step: image.loop.step, epoch: image.loop.epoch, batch: image.loop.batch, samples: image.loop.samples)
    for (name, source) in randoms {
      let words = try words(of: name, "rng", image.loop, RandomSource.wordCount, path)
      for (index, word) in words.enumerated() { source.words[index] = word }
    }
    for (name, sampler) in samplers {
      let words = try words(of: name, "sampler", image.loop, Sampler.wordCount, path)
      if let mismatch = sampler.load(words) {
        throw HoldfastError(
          .cannotRestore, "sampler '\(name)': \(mismatch)", path: path,
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
        hint: "create the same random sources and samplers as the run that saved it")
    }
    return part.bytes.withUnsafeBytes { bytes in
      (0..<count).map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
    }
  }
}
