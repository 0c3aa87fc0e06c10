import Reporting
import Testing

@testable import Checkpoints

/// Checkpoints with only the components that are tensors alone.
struct WeightsTests {
  private static let loop = ImageLoop(
    step: 7, epoch: 1, batch: 2, samples: 99, parts: [.init(kind: "rng", name: "x", bytes: [1, 2, 3])])

  private static func model(_ count: Int) -> StateValue {
    .object([
      "layers": .array([
        .object(["w": .tensor(Tensor((0..<count).map { Float($0) }, shape: [count]))]),
        .object(["w": .tensor(Tensor([Double.pi], shape: []))]),
      ]), "empty": .tensor(Tensor([Int64](), shape: [0])),
    ])
  }

  private static func states(_ count: Int = 5) -> [String: StateValue] {
    [
      "model": model(count), "average": .object(["w": .tensor(Tensor([Float(1), 2, 3], shape: [3]))]),
      "optimizer": .object([
        "step": .integer(9), "moments": .tensor(Tensor([Float](repeating: 3, count: count), shape: [count])),
      ]), "nothing": .object([:]),
    ]
  }

  /// Sizes around the chunks that are written with direct I/O; the tensors before and after are of other components.
  @Test(arguments: [1, 5, 1000, (8 << 20) / 4 - 300, (8 << 20) / 4, (24 << 20) / 4 + 77])
  func weightsAreAnImageOfTheirOwn(count: Int) throws {
    let place = try Place()
    let checkpoints = place.checkpoints
    let whole = image(Self.states(count), Self.loop)
    let published = try whole.withUnsafeBytes { try checkpoints.publishWeights(of: $0, .draft(step: 7)) }
    #expect(published.name == "step-7-weights" && published.manifest.weightsOnly == true)
    #expect(checkpoints.verify(published.name, thorough: true).fault == nil)
    let loaded = try checkpoints.load(published.name, thorough: true)
    let read = try loaded.withImage { try ImageReader($0) }
    #expect(Set(read.components.keys) == ["model", "average"])
    #expect(
      read.components["model"] == Self.model(count) && read.components["average"] == Self.states()["average"])
    #expect(read.loop.step == 7 && read.loop.parts.isEmpty)
    #expect(loaded.manifest.ranks.first?.loopState == read.loop)
    let bytes = loaded.withImage { $0.count }
    #expect(UInt64(bytes) == published.manifest.files[0].bytes && bytes < count * 4 + 2000)
  }

  /// Publishing again after a crash before it was recorded finds it.
  @Test func aRepetitionFindsIt() throws {
    let place = try Place()
    let checkpoints = place.checkpoints
    let whole = image(Self.states(), Self.loop)
    let first = try whole.withUnsafeBytes { try checkpoints.publishWeights(of: $0, .draft(step: 7)) }
    let again = try whole.withUnsafeBytes { try checkpoints.publishWeights(of: $0, .draft(step: 7)) }
    #expect(first == again)
    #expect(try checkpoints.names() == [first.name])
  }

  /// Python's values are kept as they are, with their order.
  @Test func aTensorMayBeNamedAfterAnotherComponent() throws {
    var json = JSONText()
    json.raw(#"{"__metadata__":{"holdfast.loop_state":"#)
    json.string(#"{"step":1,"epoch":0,"batch":0,"samples":0,"parts":[]}"#)
    json.raw(#","holdfast.state":"#)
    let model =
      #"{"$$python":"ordered","value":{"z":{"$tensor":"a/x"},"b":{"$$python":"tensor","value":{"$tensor":"m/b"}}},"metadata":{"":{"version":1}}}"#
    json.string(#"{"a":{"x":{"$tensor":"a/x"},"n":1},"m":"# + model + "}")
    json.raw(#"},"a/x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#)
    json.raw(#""m/b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#)
    let bytes =
      withUnsafeBytes(of: UInt64(json.bytes.count).littleEndian) { Array($0) } + json.bytes
      + [UInt8](1...8)
    let weights = try bytes.withUnsafeBytes { try WeightsImage($0) }
    let text = String(decoding: weights.header.dropFirst(8), as: UTF8.self)
    #expect(text.contains(JSONValue.string(model).text().dropFirst().dropLast()), "\(text)")
    #expect(weights.pieces.map(\.count) == [8])
    var image: [UInt8] = []
    bytes.withUnsafeBytes { whole in weights.chunks(of: whole, 4096) { image += $0 } }
    #expect(image.count == weights.byteCount && image.suffix(8) == [1, 2, 3, 4, 5, 6, 7, 8])
    let export = try image.withUnsafeBytes { try TensorExport($0, weightsOnly: true) }
    #expect(export.count == 2)
  }

  @Test func aStateWithoutWeightsIsRefused() throws {
    let whole = image(["optimizer": .object(["step": .integer(9)])], Self.loop)
    let error = #expect(throws: CheckpointError.self) {
      try whole.withUnsafeBytes { _ = try WeightsImage($0) }
    }
    #expect(error?.code == .missing)
  }
}
