import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Checkpoints

/// What `checkpoints show` and `checkpoints export` read of an image.
struct ContentsTests {
  private final class Seen {
    var components: [String] = []
    var lines: [String] = []
  }

  private func walk(_ bytes: [UInt8]) throws -> Seen {
    let seen = Seen()
    try bytes.withUnsafeBytes { image in
      try ImageContents(image).walk {
        seen.components.append($0)
      } leaf: { leaf in
        switch leaf.content {
        case .tensor(let name, let type): seen.lines.append("\(leaf.path) -> \(name) \(type ?? "")")
        case .value(let value): seen.lines.append("\(leaf.path) = \(value.text())")
        case .data(let count): seen.lines.append("\(leaf.path) = \(count) bytes")
        }
      }
    }
    return seen
  }

  /// An image whose state is `text`.
  private func image(state text: String, tensors: [(name: String, dtype: String, shape: String, bytes: Int)])
    -> [UInt8]
  {
    var json = JSONText()
    json.raw(#"{"__metadata__":{"holdfast.loop_state":"#)
    json.string(#"{"step":1,"epoch":0,"batch":0,"samples":0,"parts":[]}"#)
    json.raw(#","holdfast.state":"#)
    json.string(text)
    json.raw("}")
    var offset = 0
    for tensor in tensors {
      json.raw(",")
      json.string(tensor.name)
      json.raw(
        #":{"dtype":"\#(tensor.dtype)","shape":\#(tensor.shape),"data_offsets":[\#(offset),\#(offset + tensor.bytes)]}"#
      )
      offset += tensor.bytes
    }
    json.raw("}")
    return withUnsafeBytes(of: UInt64(json.bytes.count).littleEndian) { Array($0) } + json.bytes
      + Array(repeating: 1, count: offset)
  }

  private static let python = #"""
    {"model":{"$$python":"ordered","value":{
    "a":{"$tensor":"model/a"},"b":{"$$python":"tensor","value":{"$tensor":"model/a"},"parameter":true},
    "c/d":{"$$python":"tensor","value":{"$tensor":"model/c~1d"},"dtype":"complex64"}},
    "metadata":{"x":{"version":1}}},
    "optimizer":{"state":{"$$python":"dict","value":[[0,{"m":{"$tensor":"optimizer/state/0/m"}}]]},
    "lr":{"$real":"0.5"},"betas":{"$$python":"tuple","value":[{"$real":"0.9"},{"$bits":"7ff0000000000000"}]},
    "rng":{"$data":"AAAA"},"$$key":null,"s":{"$$python":"scalar","value":{"$data":"AAA="},"dtype":"<f2"}},
    "none":{}}
    """#

  private func pythonImage() -> [UInt8] {
    image(
      state: Self.python,
      tensors: [
        ("model/a", "F32", "[2]", 8), ("model/c~1d", "F32", "[1,2]", 8),
        ("optimizer/state/0/m", "F32", "[]", 4),
      ])
  }

  @Test func valuesOfPythonAreWalked() throws {
    let seen = try walk(pythonImage())
    #expect(seen.components == ["model", "optimizer", "none"])
    #expect(
      seen.lines == [
        "model/a -> model/a ", "model/b -> model/a ", "model/c~1d -> model/c~1d complex64",
        "optimizer/state/0/m -> optimizer/state/0/m ", "optimizer/lr = 0.5", "optimizer/betas/0 = 0.9",
        "optimizer/betas/1 = \"Infinity\"", "optimizer/rng = 3 bytes", "optimizer/$key = null",
        "optimizer/s = 2 bytes",
      ])
  }

  @Test func exportHasEachNameAndType() throws {
    let place = try Place()
    let bytes = pythonImage()
    let path = place.root.appending("file")
    func export(_ weightsOnly: Bool) throws -> [String: Tensor] {
      try bytes.withUnsafeBytes { image in
        let export = try TensorExport(image, weightsOnly: weightsOnly)
        _ = try export.write(to: path, metadata: [:], replacing: true, isIntact: { true })
      }
      return try FileSystem.read(path).withUnsafeBytes { try ImageReader.tensors($0) }
    }
    let weights = try export(true)
    #expect(weights.keys.sorted() == ["a", "b", "c/d"])
    #expect(
      weights["c/d"]?.dtype == .complex64 && weights["c/d"]?.shape == [1] && weights["b"] == weights["a"])
    #expect(
      try export(false).keys.sorted() == ["model/a", "model/b", "model/c~1d", "optimizer/state/0/m"])
    // A read that was cut off, and a file that is not replaced.
    let before = try FileSystem.read(path)
    for (replacing, isIntact) in [(true, false), (false, true)] {
      _ = bytes.withUnsafeBytes { image in
        #expect(throws: CheckpointError.self) {
          _ = try TensorExport(image, weightsOnly: true)
            .write(to: path, metadata: [:], replacing: replacing, isIntact: { isIntact })
        }
      }
    }
    #expect(try FileSystem.read(path) == before)
    #expect(try FileSystem.list(place.root) == ["file"])
  }

  /// Any bytes are read, or reported as damage.
  @Test func damagedImagesAreReported() throws {
    let whole = pythonImage()
    for seed in UInt64(0)..<3000 {
      var random = Generator(seed: seed)
      var bytes = whole
      for _ in 0...random.below(4) {
        let place = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[place] = #"{}[]",:\0123456789-.eE$"#.utf8.randomElement(using: &random) ?? 0
        default: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(20)))
        }
        if bytes.isEmpty { break }
      }
      _ = try? walk(bytes)
      bytes.withUnsafeBytes { image in
        try? ImageContents(image).tensors { _ = $0.component }
        _ = try? TensorExport(image, weightsOnly: seed % 2 == 0)
      }
    }
    let deep = String(repeating: #"{"$$python":"tuple","value":["#, count: 3000)
    #expect(throws: CheckpointError.self) { try walk(image(state: #"{"a":"# + deep, tensors: [])) }
  }
}
