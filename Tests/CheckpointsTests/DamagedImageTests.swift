import Reporting
import TestSupport
import Testing

@testable import Checkpoints

/// The reader accepts any bytes: it reads an image or reports the damage.
struct DamagedImageTests {
  private static let loop = #"{\"step\":1,\"epoch\":0,\"batch\":0,\"samples\":0,\"parts\":[]}"#

  /// A file with this state and these tensors in its header, and `data` bytes of data.
  private static func file(state: String = "{}", tensors: String = "", data: Int = 0) -> [UInt8] {
    let state = state.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    return file(
      header: #"{"__metadata__":{"holdfast.state":"\#(state)","holdfast.loop_state":"\#(loop)"}\#(tensors)}"#,
      data: data)
  }

  private static func file(header: String, data: Int = 0) -> [UInt8] {
    var text = Array(header.utf8)
    while text.count % 8 != 0 { text.append(0x20) }
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
      + Array(repeating: 0, count: data)
  }

  private static func tensor(_ dtype: String, _ shape: String, _ offsets: String, name: String = "a")
    -> String
  {
    #","\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}"#
  }

  @Test func intactFixturesAreAccepted() throws {
    let reader = try read(Self.file(tensors: Self.tensor("F32", "[2]", "[0,8]"), data: 8))
    #expect(reader.loop.step == 1 && reader.components.isEmpty)
  }

  @Test(arguments: [
    ("overlap", tensor("F32", "[2]", "[0,8]") + tensor("F32", "[2]", "[4,12]", name: "b"), 12),
    ("gap", tensor("F32", "[2]", "[0,8]") + tensor("F32", "[1]", "[12,16]", name: "b"), 16),
    ("gap at the beginning", tensor("F32", "[2]", "[4,12]"), 12),
    ("beyond the end", tensor("F32", "[2]", "[0,8]"), 4),
    ("bytes of nobody", tensor("F32", "[2]", "[0,8]"), 12),
    ("shape is larger", tensor("F32", "[3]", "[0,8]"), 8),
    ("shape overflows", tensor("F32", "[4611686018427387904,4]", "[0,0]"), 0),
    ("shape overflows to zero", tensor("F64", "[2305843009213693952]", "[0,0]"), 0),
    ("shape overflows after zero", tensor("F32", "[9223372036854775807,0]", "[0,0]"), 0),
    ("negative extents", tensor("F32", "[-1,-2]", "[0,8]"), 8),
    ("backwards", tensor("F32", "[]", "[4,0]"), 4),
    ("negative offset", tensor("F32", "[1]", "[-4,0]"), 0),
    ("huge offsets", tensor("U8", "[1]", "[9223372036854775806,9223372036854775807]"), 1),
    ("offset of more than 64 bits", tensor("U8", "[1]", "[0,18446744073709551617]"), 1),
    ("offset of 64 bits", tensor("U8", "[1]", "[0,18446744073709551615]"), 1),
    ("offset is no integer", tensor("U8", "[1]", "[0,1.0]"), 1),
    ("three offsets", tensor("U8", "[1]", "[0,1,1]"), 1),
    ("not aligned", tensor("U8", "[1]", "[0,1]") + tensor("F32", "[1]", "[1,5]", name: "b"), 5),
    ("name twice", tensor("U8", "[1]", "[0,1]") + tensor("U8", "[1]", "[1,2]"), 2),
    ("no type", #","a":{"shape":[],"data_offsets":[0,0]}"#, 0),
    ("shape is text", tensor("U8", #""1""#, "[0,1]"), 1),
    ("a tensor is a number", #","a":1"#, 0),
    ("metadata twice", #","__metadata__":{}"#, 0),
    ("a key twice", #","a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}"#, 1),
  ]) func damagedTensorsAreRejected(what: String, tensors: String, data: Int) throws {
    expectDamaged(Self.file(tensors: tensors, data: data), what)
  }

  @Test(arguments: [
    "", "{", "[]", "{}", "null", "{\"a\":1}", #"{"__metadata__":{}}"#,
    #"{"__metadata__":{"holdfast.state":1}}"#,
    #"{"__metadata__":[]}"#, #"{"__metadata__":{"holdfast.state":"{}"}}"#,
    #"{"__metadata__":{"holdfast.state":"{}","holdfast.loop_state":"{}"}}"#,
    #"{"__metadata__":{"holdfast.state":"[]","holdfast.loop_state":"\#(loop)"}}"#,
    #"{"__metadata__":{"holdfast.state":"{","holdfast.loop_state":"\#(loop)"}}"#,
    #"{"__metadata__":{"holdfast.state":"{}","holdfast.loop_state":"\#(loop)"}} x"#,
  ]) func damagedHeadersAreRejected(header: String) { expectDamaged(Self.file(header: header), header) }

  @Test(arguments: [
    #"{"a":{"$tensor":"b"}}"#, #"{"a":{"$real":"x"}}"#, #"{"a":{"$bits":"xyz"}}"#, #"{"a":{"$data":"Z"}}"#,
    #"{"a":{"$real":1}}"#, #"{"a":1,"a":2}"#, #"{"a":[1,]}"#, #"{"a":01}"#, #"{"a":1e999}"#,
    #"{"a":"\ud800"}"#,
    #"{"a":"\ud800\u0041"}"#, #"{"a":"\udc00"}"#, #"{"a":"\x"}"#, #"{"a":nul}"#,
    #"{"a":18446744073709551615}"#,
    #"{"a":99999999999999999999}"#, #"{"a":-}"#, #"{"a":1.}"#, #"{"a":.1}"#, #"{"a":+1}"#, #"{"a":NaN}"#,
    #"{a:1}"#, #"{"a" 1}"#, #"{"a":1"#, #"{"a":1}}"#,
  ]) func damagedStatesAreRejected(state: String) { expectDamaged(Self.file(state: state), state) }

  @Test func valuesOfALaterVersionAreReported() {
    for state in [#"{"a":{"$tuple":[1,2]}}"#, #"{"a":{"$map":"x"}}"#, #"{"a":{"$object":"x","fields":{}}}"#] {
      let error = #expect(throws: CheckpointError.self) { try read(Self.file(state: state)) }
      #expect(error?.code == .newerVersion, "\(state)")
    }
    let error = #expect(throws: CheckpointError.self) {
      try read(Self.file(tensors: Self.tensor("F128", "[1]", "[0,1]"), data: 1))
    }
    #expect(error?.code == .unsupported)
  }

  @Test func escapesOfOtherWritersAreRead() throws {
    let reader = try read(Self.file(state: #"{"a":["\u00e9\ud83e\uddea\/\b\f\n\r\t", -0, 1.5e0, 3E+2]}"#))
    #expect(
      reader.components == [
        "a": .array([.string("é🧪/\u{8}\u{c}\n\r\t"), .integer(0), .real(1.5), .real(300)])
      ])
  }

  @Test func deepNestingIsRejected() {
    for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
      let deep = String(repeating: open, count: 200_000) + "1" + String(repeating: close, count: 200_000)
      expectDamaged(Self.file(state: deep), "deep state")
      expectDamaged(Self.file(header: deep), "deep header")
    }
  }

  @Test func invalidHeaderLengthsAreRejected() {
    let whole = Self.file()
    for length in [UInt64.max, 1 << 63, UInt64(Int.max), 100_000_001, UInt64(whole.count - 7), 0, 1] {
      var bytes = whole
      bytes.replaceSubrange(0..<8, with: withUnsafeBytes(of: length.littleEndian) { Array($0) })
      expectDamaged(bytes, "length \(length)")
    }
    for count in 0..<whole.count { expectDamaged(Array(whole.prefix(count)), "cut to \(count)") }
  }

  private func expectDamaged(_ bytes: [UInt8], _ what: String) {
    let error = #expect(throws: CheckpointError.self, "\(what)") { try read(bytes) }
    #expect(error?.code == .damaged, "\(what): \(error.map(String.init(describing:)) ?? "")")
  }

  // MARK: Random damage

  @Test func randomBytesAreRejected() {
    for seed in UInt64(0)..<3000 {
      var random = Generator(seed: seed)
      var bytes = random.bytes(random.below(200))
      // With a valid length, which otherwise would reject nearly all.
      if bytes.count > 8, seed % 2 == 0 {
        let length = UInt64(random.below(bytes.count))
        bytes.replaceSubrange(0..<8, with: withUnsafeBytes(of: length.littleEndian) { Array($0) })
      }
      #expect(throws: CheckpointError.self, "seed \(seed)") { try read(bytes) }
    }
  }

  /// An image that is readable despite damage can be written and read again.
  @Test func damagedImagesAreRejectedOrIntact() throws {
    for seed in UInt64(0)..<6000 {
      var random = Generator(seed: seed)
      var bytes = image(random.components(), random.loop())
      for _ in 0...random.below(3) {
        let place = random.below(bytes.count)
        switch random.below(5) {
        case 0: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1: bytes[place] = #"{}[]",:\0123456789-.eE$"#.utf8.randomElement(using: &random) ?? 0
        case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(9)))
        case 3: bytes.insert(contentsOf: random.bytes(1 + random.below(8)), at: place)
        default: bytes.append(contentsOf: bytes[place..<min(bytes.count, place + 8)])
        }
        if bytes.isEmpty { break }
      }
      guard let reader = try? read(bytes) else { continue }
      let again = try read(image(reader.components, reader.loop))
      #expect(again.components == reader.components && again.loop == reader.loop, "seed \(seed)")
    }
  }
}
