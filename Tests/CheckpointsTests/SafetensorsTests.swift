import Checkpoints
import Foundation
import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing

/// Compatibility with the `safetensors` package in both directions, and with `xxh128sum`.
struct SafetensorsTests {
  private static func run(_ program: String, _ arguments: [String], in directory: FilePath? = nil) throws -> (
    status: Int32, output: String
  ) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory.string) }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  /// A Python with the packages. If `HOLDFAST_TEST_PYTHON` is set, it must have them.
  private static let python: String? = {
    if let named = ProcessInfo.processInfo.environment["HOLDFAST_TEST_PYTHON"] { return named }
    let found = try? run("python3", ["-c", "import safetensors, numpy"])
    return found?.status == 0 ? "python3" : nil
  }()

  private static func python(_ script: String, _ arguments: [String]) throws -> String {
    let result = try run(try #require(python), ["-c", script] + arguments)
    try #require(result.status == 0, "\(result.output)")
    return result.output
  }

  private static let reason: Comment = "HOLDFAST_TEST_PYTHON is not a Python with safetensors and numpy"

  private static func tensors() -> [String: StateValue] {
    var random = Generator(seed: 11)
    var members: [String: StateValue] = ["scalar": .tensor(Tensor([2.5], shape: []))]
    for dtype in DType.allCases {
      // numpy checks the values of booleans.
      let bytes = dtype == .bool ? [0, 1, 1, 0, 1, 0, 0, 1] : random.bytes(dtype.bits)
      members["t/\(dtype.rawValue)"] = .tensor(Tensor(dtype: dtype, shape: [2, 4], bytes: bytes))
      members["none \(dtype.rawValue)"] = .tensor(Tensor(dtype: dtype, shape: [3, 0], bytes: []))
    }
    return members
  }

  @Test(.enabled(if: python != nil, reason)) func safetensorsReadsHoldfastImages() throws {
    let place = try Place()
    let bytes = image(["modèle": .object(Self.tensors()), "note": .string("\"\\\n")], .zero)
    try FileSystem.replace(place.root.appending("ours"), with: bytes, durable: false)
    let output = try Self.python(
      """
      import hashlib, safetensors, sys
      for name, t in safetensors.deserialize(open(sys.argv[1], "rb").read()):
          print(name, t["dtype"], t["shape"], hashlib.sha256(bytes(t["data"])).hexdigest(), sep="|")
      with safetensors.safe_open(sys.argv[1], "np") as file:
          print(sorted(file.metadata()))
          print(file.get_tensor("modèle/scalar"), file.get_tensor("modèle/t~1I64").shape)
      """, [place.root.appending("ours").string])
    var expected = try bytes.withUnsafeBytes { try ImageReader.tensors($0) }.map { name, tensor in
      "\(name)|\(tensor.dtype.rawValue)|\(tensor.shape)|\(tensor.withUnsafeBytes { SHA256.hex($0) })"
    }
    expected += ["['format', 'holdfast.loop_state', 'holdfast.state']", "2.5 (2, 4)"]
    #expect(output.split(separator: "\n").map(String.init).sorted() == expected.sorted())
  }

  /// An image that was read and written by its numpy functions is still a valid image.
  @Test(.enabled(if: python != nil, reason)) func holdfastReadsImagesWrittenBySafetensors() throws {
    let place = try Place()
    // numpy has neither bfloat16 nor floats of 8 bits or less.
    let foreign = ["BF16", "F4", "F6", "F8"]
    let members = Self.tensors().filter { member in !foreign.contains { member.key.contains($0) } }
    let components: [String: StateValue] = ["model": .object(members), "step": .integer(3)]
    let (ours, theirs) = (place.root.appending("ours"), place.root.appending("theirs"))
    try FileSystem.replace(ours, with: image(components, .zero), durable: false)
    _ = try Self.python(
      """
      import safetensors, sys
      from safetensors.numpy import load_file, save_file
      with safetensors.safe_open(sys.argv[1], "np") as file:
          metadata = file.metadata()
      save_file(load_file(sys.argv[1]), sys.argv[2], metadata)
      """, [ours.string, theirs.string])
    let reader = try read(try FileSystem.read(theirs))
    #expect(reader.components == components && reader.loop == .zero)
  }

  @Test(.enabled(if: python != nil, reason)) func tensorsOfAnySafetensorsFileAreRead() throws {
    let place = try Place()
    let path = place.root.appending("any")
    _ = try Self.python(
      """
      import numpy, safetensors.numpy, sys
      safetensors.numpy.save_file({
          "b": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "a": numpy.array([-1], dtype=numpy.int64),
          "c": numpy.zeros((0, 4), dtype=numpy.float64), "d": numpy.array([7, 8, 9], dtype=numpy.uint8),
      }, sys.argv[1])
      """, [path.string])
    let tensors = try FileSystem.read(path).withUnsafeBytes { try ImageReader.tensors($0) }
    #expect(
      tensors == [
        "b": Tensor([Float(0), 1, 2, 3, 4, 5], shape: [2, 3]), "a": Tensor([Int64(-1)]),
        "c": Tensor([Double](), shape: [0, 4]), "d": Tensor(dtype: .uint8, shape: [3], bytes: [7, 8, 9]),
      ])
    let error = #expect(throws: CheckpointError.self) { try read(try FileSystem.read(path)) }
    #expect(error?.what == "it has no 'holdfast.loop_state': written by another program")
  }

  @Test func xxh128sumVerifiesACheckpoint() throws {
    let place = try Place()
    try place.publish(step: 1, floats: 4000)
    let path = place.checkpoints.path(of: "step-1")
    let check = ["--check", "--strict", "XXH128SUMS"]
    let right = try Self.run("xxh128sum", check, in: path)
    #expect(right.status == 0 && right.output == "state.safetensors: OK\nmanifest.json: OK\n")
    try FileSystem.replace(place.file("step-1", "manifest.json"), with: [1], durable: false)
    #expect(try Self.run("xxh128sum", check, in: path).status == 1)
  }
}
