import Glibc
import POSIX
import SystemPackage
import Testing

@testable import Checkpoints

struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// Any tree: keys with slashes and dollars, empty things, numbers that JSON has no literal for.
  mutating func tree(_ depth: Int) -> StateValue {
    switch below(depth > 0 ? 10 : 7) {
    case 0: return .null
    case 1: return .bool(below(2) == 0)
    case 2: return .integer(Int64(bitPattern: next()))
    case 3: return .real(Double(bitPattern: next()))
    case 4: return .string(["", "a/b", "\"quoted\"\n\u{1}", "ü😀"][below(4)])
    case 5: return .data((0..<below(9)).map { _ in UInt8(below(256)) })
    case 6: return .tensor(tensor())
    case 7: return .array((0..<below(4)).map { _ in tree(depth - 1) })
    default:
      let keys = ["weights", "a/b", "a~b", "$tensor", "$x", "", "ü"]
      return .object(
        Dictionary((0..<below(4)).map { _ in (keys[below(7)], tree(depth - 1)) }) { first, _ in first })
    }
  }

  mutating func tensor() -> Tensor {
    let shape = (0..<below(3)).map { _ in below(4) }
    let count = shape.reduce(1, *)
    switch below(4) {
    case 0:
      return Tensor(
        (0..<count).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: next())) }, shape: shape)
    case 1: return Tensor((0..<count).map { _ in Double(bitPattern: next()) }, shape: shape)
    case 2: return Tensor((0..<count).map { _ in Int64(bitPattern: next()) }, shape: shape)
    default:
      return Tensor(dtype: .bfloat16, shape: shape, bytes: (0..<count * 2).map { _ in UInt8(below(256)) })
    }
  }
}

let someLoop = ImageLoop(
  step: 48_700, epoch: 3, batch: 17, samples: 99, parts: [.init(kind: "rng", name: "a", bytes: [0, 255, 7])])

func image(_ components: [(String, StateValue)], _ loop: ImageLoop = someLoop) -> [UInt8] {
  let writer = ImageWriter(components.map { (name: $0.0, state: $0.1) }, loop: loop)
  var bytes = [UInt8](repeating: 0xee, count: writer.imageBytes)
  bytes.withUnsafeMutableBytes { writer.write(into: $0) }
  return bytes
}

@Suite struct ImageTests {
  @Test(arguments: 1...200) func anyStateSurvives(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let tree = random.tree(4)
    let other = random.tree(2)
    let bytes = image([("model", tree), ("a/b", other)])
    let reader = try bytes.withUnsafeBytes { try ImageReader($0) }
    #expect(reader.components["model"] == tree, "seed \(seed)")
    #expect(reader.components["a/b"] == other, "seed \(seed)")
    #expect(reader.loop == someLoop)
  }

  @Test(arguments: 1...300) func damagedBytesAreRefusedWithoutATrap(seed: UInt64) {
    var random = SplitMix(state: seed)
    var bytes = image([("m", random.tree(3))])
    for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
    if random.below(3) == 0 { bytes.removeLast(random.below(bytes.count)) }
    // Either it is still an image, or the error says that it is none.
    do {
      _ = try bytes.withUnsafeBytes { try ImageReader($0) }
    } catch {
      #expect(error is CheckpointError)
    }
  }

  @Test func tensorsOfTheHeaderMustFillTheData() throws {
    let text =
      "{\"__metadata__\":{},\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,4]}}"
    var bytes = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
    bytes += [0, 0, 0, 0]
    #expect(throws: CheckpointError.self) { try bytes.withUnsafeBytes { try ImageReader($0) } }
  }

  @Test func base64IsThatOfTheStandard() {
    #expect(Base64.encode(Array("foobar".utf8)) == "Zm9vYmFy")
    #expect(Base64.encode(Array("foob".utf8)) == "Zm9vYg==")
    #expect(Base64.decode("Zm9vYg==") == Array("foob".utf8))
    for wrong in ["Zm9vYg", "Zm9v====", "Zm=v", "Zm9 "] { #expect(Base64.decode(wrong) == nil, "\(wrong)") }
  }

  @Test func digestsAreSHA256() {
    #expect(
      SHA256.hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  /// The ecosystem's own reader opens what we write, and we read what it writes.
  @Test(
    .enabled("safetensors is not installed; scripts/test installs it") {
      getenv("HOLDFAST_TEST_PYTHON") != nil
    })
  func thePublicPackageReadsIt() throws {
    let python = String(cString: getenv("HOLDFAST_TEST_PYTHON"))
    let path = "/tmp/holdfast-unit-\(getpid()).safetensors"
    defer { unlink(path) }
    let state = StateValue.object([
      "w": .tensor(Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])),
      "empty": .tensor(Tensor([] as [Double])),
      "steps": .tensor(Tensor([7] as [Int64])), "rate": .real(0.1),
    ])
    try FileSystem.replace(FilePath(path), with: image([("model", state)]), durable: false)
    let script = """
      import sys, json
      from safetensors import safe_open
      with safe_open(sys.argv[1], framework="numpy") as f:
          assert sorted(f.keys()) == ["model/empty", "model/steps", "model/w"], f.keys()
          w = f.get_tensor("model/w")
          assert w.shape == (2, 3) and w.tolist() == [[1, 2, 3], [4, 5, 6]], w
          assert f.get_tensor("model/empty").shape == (0,)
          assert f.get_tensor("model/steps").tolist() == [7]
          assert json.loads(f.metadata()["holdfast.loop_state"])["step"] == 48700
      """
    let child = try ChildProcess(
      .init(
        path: FilePath(python), arguments: [python, "-c", script, path], environment: ["PATH=/usr/bin:/bin"]))
    var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&exit, 1, -1)
    #expect(try child.reap() == .exited(0))
  }
}
