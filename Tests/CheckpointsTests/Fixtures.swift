import Checkpoints
import Glibc
import POSIX
import SystemPackage
import TestSupport

// MARK: Random states

extension Generator {
  /// Keys and strings that are difficult to encode.
  private static let texts = [
    "", "a", "weight", "a/b", "~", "~1", "/", "//", "$", "$tensor", "$$", "$real", "__metadata__", "\"", "\\",
    "\n", "\u{0}", "\u{7f}", "é", "e\u{301}x", "~\u{301}", "/\u{338}", "$\u{301}", "層", "🧪", "0", "1", " ",
  ]

  mutating func text() -> String { Self.texts[below(Self.texts.count)] }

  mutating func real() -> Double {
    let special: [Double] = [
      0, -0.0, 1, 0.1, .infinity, -.infinity, .nan, .signalingNaN, .leastNonzeroMagnitude,
      .greatestFiniteMagnitude, -.leastNonzeroMagnitude,
    ]
    return below(2) == 0 ? special[below(special.count)] : Double(bitPattern: next())
  }

  mutating func tensor() -> Tensor {
    let shape = (0..<below(4)).map { _ in below(4) }
    let count = shape.reduce(1, *)
    switch below(6) {
    case 0:
      return Tensor(
        (0..<count).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: next())) }, shape: shape)
    case 1: return Tensor((0..<count).map { _ in real() }, shape: shape)
    case 2: return Tensor((0..<count).map { _ in Int64(bitPattern: next()) }, shape: shape)
    default:
      let dtype = DType.allCases[below(DType.allCases.count)]
      guard let size = dtype.bytes(of: shape) else { return Tensor(dtype: dtype, shape: [0], bytes: []) }
      return Tensor(dtype: dtype, shape: shape, bytes: bytes(size))
    }
  }

  mutating func state(depth: Int = 0) -> StateValue {
    switch below(depth > 4 ? 7 : 10) {
    case 0: return .null
    case 1: return .bool(below(2) == 0)
    case 2: return .integer([0, -1, .min, .max, Int64(bitPattern: next())][below(5)])
    case 3: return .real(real())
    case 4: return .string(text() + text())
    case 5: return .data(bytes(below(20)))
    case 6: return .tensor(tensor())
    case 7: return .array((0..<below(4)).map { _ in state(depth: depth + 1) })
    default:
      var members: [String: StateValue] = [:]
      for _ in 0..<below(5) { members[text()] = state(depth: depth + 1) }
      return .object(members)
    }
  }

  mutating func loop() -> ImageLoop {
    ImageLoop(
      step: next(), epoch: next() >> 40, batch: next(), samples: .max,
      parts: (0..<below(4)).map { _ in
        .init(kind: ["rng", "sampler", "other"][below(3)], name: text(), bytes: bytes(below(70)))
      })
  }

  mutating func components() -> [String: StateValue] {
    var components: [String: StateValue] = [:]
    for _ in 0..<below(5) { components[text()] = state() }
    return components
  }
}

// MARK: Images

func image(_ components: [String: StateValue], _ loop: ImageLoop) -> [UInt8] {
  let writer = ImageWriter(components.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, loop: loop)
  var bytes = [UInt8](repeating: 0xaa, count: writer.imageBytes)
  bytes.withUnsafeMutableBytes { writer.write(into: $0) }
  return bytes
}

func image(step: UInt64, floats: Int = 3) -> [UInt8] {
  let weights = Tensor((0..<floats).map { Float($0) + Float(step) })
  let loop = ImageLoop(
    step: step, epoch: 1, batch: 2, samples: 3, parts: [.init(kind: "rng", name: "r", bytes: [1, 2, 3])])
  return image(["model": .object(["weights": .tensor(weights)])], loop)
}

func read(_ image: [UInt8]) throws -> ImageReader { try image.withUnsafeBytes { try ImageReader($0) } }

/// Page-aligned bytes, as in the arena.
final class AlignedImage {
  let bytes: UnsafeMutableRawBufferPointer

  init(_ image: [UInt8]) {
    bytes = .allocate(byteCount: image.count, alignment: 4096)
    bytes.copyBytes(from: image)
  }

  deinit { bytes.deallocate() }
}

// MARK: Checkpoints

extension Manifest {
  static func draft(step: UInt64, cut: String? = nil) -> Manifest {
    Manifest(
      job: "job", jobID: String(repeating: "1", count: 32), attempt: 1, generation: 1,
      cutID: cut ?? String(repeating: "c", count: 24) + String(step &+ 10_000_000), step: step, epoch: 1,
      batch: 2,
      samples: 3, createdAt: "2026-01-01T00:00:00.000Z", metrics: ["loss": 0.5, "bad": .nan])
  }
}

/// A temporary directory with checkpoints.
final class Place {
  let root: FilePath
  let checkpoints: LocalCheckpoints

  init() throws {
    var template = Array("/tmp/holdfast-checkpoints-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else { throw Errno(rawValue: errno) }
    root = FilePath(platformString: path)
    checkpoints = LocalCheckpoints(directory: root.appending("checkpoints"))
  }

  deinit { try? FileSystem.removeTree(root) }

  @discardableResult
  func publish(step: UInt64, cut: String? = nil, floats: Int = 3) throws -> PublishedCheckpoint {
    let image = AlignedImage(image(step: step, floats: floats))
    return try checkpoints.publish(image: UnsafeRawBufferPointer(image.bytes), .draft(step: step, cut: cut))
  }

  func file(_ checkpoint: String, _ name: String) -> FilePath {
    checkpoints.path(of: checkpoint).appending(name)
  }

  /// Everything in the directory, including leftovers.
  func entries() throws -> [String] { try FileSystem.list(checkpoints.directory) }
}

/// Flips a bit of a file.
func flip(_ path: FilePath, at offset: Int) throws {
  var bytes = try FileSystem.read(path)
  bytes[offset] ^= 4
  try FileSystem.replace(path, with: bytes, durable: false)
}
