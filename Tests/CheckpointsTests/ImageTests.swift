import Reporting
import TestSupport
import Testing

@testable import Checkpoints

/// Images round-trip bit by bit.
struct ImageTests {
  @Test func randomStatesRoundTrip() throws {
    for seed in UInt64(0)..<400 {
      var random = Generator(seed: seed)
      let (components, loop) = (random.components(), random.loop())
      let bytes = image(components, loop)
      let reader: ImageReader
      do { reader = try read(bytes) } catch {
        Issue.record("seed \(seed): \(error)")
        continue
      }
      #expect(reader.components == components, "seed \(seed)")
      #expect(reader.loop == loop, "seed \(seed)")
      #expect(try bytes.withUnsafeBytes { try ImageReader.loop($0) } == loop, "seed \(seed)")
      #expect(image(reader.components, reader.loop) == bytes, "seed \(seed): different bytes the second time")
    }
  }

  /// The layout follows the format's specification, and tensors can be used in place.
  @Test func tensorsAreContiguousAndAligned() throws {
    for seed in UInt64(1000)..<1200 {
      var random = Generator(seed: seed)
      let bytes = image(random.components(), random.loop())
      let header = try bytes.withUnsafeBytes { try ImageHeader($0) }
      #expect(header.dataStart % 8 == 0, "seed \(seed)")
      for entry in header.entries { #expect(entry.range.lowerBound % entry.dtype.bytes == 0, "seed \(seed)") }
    }
  }

  @Test(arguments: DType.allCases) func everyTypeRoundTrips(dtype: DType) throws {
    let tensor = Tensor(dtype: dtype, shape: [2, 4], bytes: (0..<UInt8(dtype.bits)).map { $0 ^ 0x5a })
    var members: [String: StateValue] = [
      "t": .tensor(tensor), "empty": .tensor(Tensor(dtype: dtype, shape: [3, 0], bytes: [])),
    ]
    // A single packed element is not a whole byte.
    if dtype.bits >= 8 {
      members["scalar"] = .tensor(
        Tensor(dtype: dtype, shape: [], bytes: [UInt8](repeating: 1, count: dtype.bytes)))
    }
    #expect(try read(image(["c": .object(members)], .zero)).components == ["c": .object(members)])
    #expect(dtype.bytes(of: [3]) == (dtype.bits * 3 % 8 == 0 ? dtype.bits * 3 / 8 : nil))
  }

  @Test func fiftyThousandTensorsOfAnyNameRoundTrip() throws {
    let texts = ["層", "é", "🧪", "a/b", "~", "\"", "\u{0}", "$", "e\u{301}", "ﷺ"]
    var members: [String: StateValue] = [:]
    for index in 0..<50_000 {
      let tensor =
        index % 3 == 0 ? Tensor([Float(index)], shape: []) : Tensor([Int64](repeating: 7, count: index % 3))
      members["\(texts[index % texts.count])\(index)"] = .tensor(tensor)
    }
    let components: [String: StateValue] = ["模型": .object(members)]
    let reader = try read(image(components, .zero))
    #expect(reader.components == components)
  }

  /// Empty tensors begin at the offset of their neighbour, in any order of a dictionary.
  @Test func emptyTensorsRoundTrip() throws {
    var members: [String: StateValue] = [:]
    for index in 0..<40 {
      members["t\(index)"] = .tensor(Tensor([Float](repeating: 1, count: index % 3), shape: [index % 3, 1]))
    }
    for _ in 0..<20 {
      #expect(try read(image(["c": .object(members)], .zero)).components == ["c": .object(members)])
    }
  }

  @Test func realNumbersRetainTheirBits() throws {
    let patterns: [UInt64] = [
      0, 1 << 63, 1, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000,
      0x7ff0_0000_0000_0001,
      0xffff_ffff_ffff_ffff, 0x3fb9_9999_9999_999a, 0x7fef_ffff_ffff_ffff, 0x000f_ffff_ffff_ffff,
    ]
    let state = StateValue.array(patterns.map { .real(Double(bitPattern: $0)) })
    guard case .array(let values)? = try read(image(["c": state], .zero)).components["c"] else {
      throw CheckpointError(.damaged, "no array")
    }
    #expect(try values.map { try $0.real().bitPattern } == patterns)
  }

  @Test func tensorNamesArePaths() throws {
    let tensor = StateValue.tensor(Tensor([Float(1)]))
    let state: [String: StateValue] = [
      "model": .object(["layers": .array([tensor, .null, .object(["a/b~c": tensor])])]),
      "__metadata__": tensor,
    ]
    let tensors = try image(state, .zero).withUnsafeBytes { try ImageReader.tensors($0) }
    #expect(tensors.keys.sorted() == ["__metadata__/", "model/layers/0", "model/layers/2/a~1b~0c"])
  }

  @Test func nestingUpToTheLimitIsAccepted() throws {
    var state = StateValue.tensor(Tensor([Int64(7)]))
    for _ in 0..<ImageWriter.deepestState { state = .array([state]) }
    #expect(try read(image(["c": state], .zero)).components == ["c": state])
  }

  @Test func emptyStateRoundTrips() throws {
    let reader = try read(image([:], .zero))
    #expect(reader.components.isEmpty && reader.loop == .zero)
  }

  @Test func accessorErrorsNameWhatWasFound() throws {
    let state = StateValue.object(["a": .integer(1), "b": .bool(true), "c": .array([.null])])
    #expect(try state.value("a").integer() == 1)
    #expect(try state.value("b").bool())
    #expect(try state.value("c").array() == [.null])
    #expect(try state.object().count == 3)
    let missing = #expect(throws: CheckpointError.self) { try state.value("d") }
    #expect(missing?.description.hasPrefix("'d': not saved; saved keys: a, b, c") == true)
    let other = #expect(throws: CheckpointError.self) { try state.value("a").tensor() }
    #expect(other?.what == "expected a tensor, found an integer")
    let type = #expect(throws: CheckpointError.self) { try Tensor([Float(1)]).doubles() }
    #expect(type?.what == "the tensor is F32, not F64")
  }

  @Test func base64MatchesTheStandard() {
    let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE="]
    for (text, code) in vectors {
      #expect(Base64.encode(Array(text.utf8)) == code)
      #expect(Base64.decode(code) == Array(text.utf8))
    }
    for text in ["Z", "Zg=", "Zg===", "====", "Z===", "Z=g=", "Zm 8", "Zm8é", "=", "Zg==Zg=="] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
    var random = Generator(seed: 5)
    for count in 0..<100 {
      let bytes = random.bytes(count)
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
  }
}

extension ImageLoop {
  static let zero = ImageLoop(step: 0, epoch: 0, batch: 0, samples: 0, parts: [])
}
