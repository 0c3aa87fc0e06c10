import Glibc
import POSIX
import Reporting
import SystemPackage
import Testing

@testable import Holdfast

/// Components that consist of others, loads that are not strict, and hooks.
struct ComponentTests {
  final class Layer: Stateful {
    var weight: [Float]
    let shape: [Int]
    init(_ value: Float, _ shape: [Int]) {
      self.shape = shape
      weight = [Float](repeating: value, count: shape.reduce(1, *))
    }
    var state: StateValue { .object(["weight": .tensor(Tensor(weight, shape: shape))]) }
    func load(_ state: StateValue) throws(CheckpointError) {
      try state.checkKeys(["weight"])
      weight = try state.floats("weight", shape: shape)
    }
  }

  final class Model: Composite, CheckpointHooks {
    let body: Layer
    let head: Layer
    var hooked: [String] = []
    init(_ value: Float, classes: Int = 3) {
      body = Layer(value, [2, 2])
      head = Layer(value, [classes])
    }
    var parts: KeyValuePairs<String, any Stateful> { ["body": body, "he/ad": head] }
    func onSaveCheckpoint(_ states: inout [String: StateValue]) {
      hooked.append("save")
      states["model.note"] = .string("of the model")
    }
    func onLoadCheckpoint(_ states: inout [String: StateValue]) throws(CheckpointError) {
      hooked.append("load")
      if case .string("forbidden")? = states["model.note"] {
        throw CheckpointError(.unsupported, "not with this note")
      }
    }
  }

  private func withDirectory(_ body: (FilePath) throws -> Void) throws {
    var template = Array("/dev/shm/holdfast-unit.XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    let path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    defer { try? FileSystem.removeTree(path) }
    try body(path)
  }

  private func run(_ model: Model, strict: Bool = true) throws -> Run {
    let run = Run.standalone(["width": .integer(2), "rate": .real(1), "layers": .array([.integer(3)])])
    run.register("model", model, strict: strict)
    return run
  }

  @Test func partsAreSavedAndLoaded() throws {
    try withDirectory { directory in
      let path = try run(Model(7)).save(to: directory)
      let model = Model(0)
      let other = try run(model)
      try other.load(from: path)
      #expect(model.body.weight == [7, 7, 7, 7] && model.head.weight == [7, 7, 7])
      #expect(model.hooked == ["load"] && other.notLoaded.isEmpty)
    }
  }

  @Test func errorsNameComponentAndKey() throws {
    try withDirectory { directory in
      let path = try run(Model(7)).save(to: directory)
      let error = #expect(throws: HoldfastError.self) { try run(Model(0, classes: 4)).load(from: path) }
      #expect(error?.what == "'model/he~1ad/weight': saved with shape [3], expected [4]")
      #expect(error?.path == path && error?.hint?.text.contains("strict: false") == true)
      // Keys.
      let changed = try run(Model(0))
      changed.onLoadCheckpoint { states throws(CheckpointError) in
        var members = try states["model"]?.object() ?? [:]
        members["body"] = .object(["wait": .integer(1)])
        states["model"] = .object(members)
      }
      let keys = #expect(throws: HoldfastError.self) { try changed.load(from: path) }
      #expect(keys?.what == "'model/body': missing keys: weight; unexpected keys: wait")
      let types = try run(Model(0))
      types.onLoadCheckpoint { states throws(CheckpointError) in
        states["model"] = .object(["body": .object(["weight": .tensor(Tensor([1.0]))]), "he/ad": .null])
      }
      let type = #expect(throws: HoldfastError.self) { try types.load(from: path) }
      #expect(type?.what == "'model/body/weight': saved as F64, expected F32")
    }
  }

  @Test func loadThatIsNotStrictListsWhatItLeftOut() throws {
    try withDirectory { directory in
      let path = try run(Model(7)).save(to: directory)
      let model = Model(0, classes: 4)
      let other = try run(model, strict: false)
      other.onLoadCheckpoint { states throws(CheckpointError) in
        var members = try states["model"]?.object() ?? [:]
        members["tail"] = .integer(1)
        states["model"] = .object(members)
      }
      other.register("scale", Layer(5, [1]), strict: false)
      try other.load(from: path)
      #expect(model.body.weight == [7, 7, 7, 7] && model.head.weight == [0, 0, 0, 0])
      #expect(
        other.notLoaded == [
          NotLoaded(
            path: "model/he~1ad/weight", reason: .mismatch("saved with shape [3], expected [4]")),
          NotLoaded(path: "model/tail", reason: .unexpected), NotLoaded(path: "scale", reason: .notSaved),
        ])
    }
  }

  /// Values that are created later, such as an optimizer's moments, have no place yet.
  @Test func emptyObjectAcceptsAnySavedOne() {
    let saved = StateValue.object([
      "moments": .object(["a": .integer(1)]), "last": .real(1), "n": .integer(1),
    ])
    let own = StateValue.object([
      "moments": .object([:]), "last": .null, "n": .string("x"), "new": .bool(true),
    ])
    let partial = PartialState(saved: saved, own: own, path: "o")
    #expect(
      partial.value
        == .object([
          "moments": .object(["a": .integer(1)]), "last": .real(1), "n": .string("x"), "new": .bool(true),
        ]))
    #expect(
      partial.notLoaded.map(\.description) == [
        "o/n (saved as an integer, expected a string)", "o/new (not saved)",
      ])
  }

  @Test func hooksReadAddChangeAndDelete() throws {
    try withDirectory { directory in
      let model = Model(7)
      let saving = try run(model)
      saving.register("secret", Layer(1, [1]))
      saving.onSaveCheckpoint { states in
        states["secret"] = nil
        states["tokens"] = .integer(12)
        states["model.note"] = .string("changed")
      }
      let path = try saving.save(to: directory)
      #expect(model.hooked == ["save"])
      let checkpoint = try Checkpoint.load(path)
      #expect(checkpoint.components.keys.sorted() == ["model", "model.note", "tokens"])
      #expect(checkpoint.components["model.note"] == .string("changed"))
      var tokens: Int64 = 0
      let loading = try run(Model(0))
      loading.onLoadCheckpoint { states throws(CheckpointError) in
        tokens = try states["tokens"]?.integer() ?? 0
      }
      try loading.load(from: path)
      #expect(tokens == 12)
      // A hook that rejects it: nothing is loaded.
      let rejecting = Model(0)
      let other = try run(rejecting)
      let forbidding = try run(Model(7))
      forbidding.onSaveCheckpoint { $0["model.note"] = .string("forbidden") }
      let forbidden = try forbidding.save(to: directory)
      let error = #expect(throws: HoldfastError.self) { try other.load(from: forbidden) }
      #expect(error?.what == "not with this note" && rejecting.body.weight == [0, 0, 0, 0])
    }
  }

  @Test func checkpointIsLoadedWithOverriddenHyperparameters() throws {
    try withDirectory { directory in
      let saved = try run(Model(7))
      try saved.step(["loss": 0.5, "bad": .nan], samples: 4)
      let path = try saved.save(to: directory)
      let checkpoint = try Checkpoint.load(path)
      #expect(checkpoint.step == 1 && checkpoint.batch == 1 && checkpoint.samples == 4)
      #expect(checkpoint.metrics == ["loss": 0.5])
      #expect(
        checkpoint.hyperparameters == [
          "width": .integer(2), "rate": .real(1), "layers": .array([.integer(3)]),
        ])
      let other = try Checkpoint.load(path, overriding: ["width": 0.5, "new": "x", "depth": 128])
      #expect(
        other.hyperparameters == [
          "width": .real(0.5), "rate": .real(1), "layers": .array([.integer(3)]), "new": .string("x"),
          "depth": .integer(128),
        ])
      let nested: Hyperparameters = ["a": [1, 1.0, nil, true, ["b": "c"]]]
      #expect(
        nested == [
          "a": .array([.integer(1), .real(1), .null, .bool(true), .object(["b": .string("c")])])
        ])
      let model = Model(0)
      try model.load(try checkpoint.state(of: "model"))
      #expect(model.head.weight == [7, 7, 7])
      let missing = #expect(throws: HoldfastError.self) { try checkpoint.state(of: "network") }
      #expect(missing?.hint?.text == "it has: model, model.note")
      // A file, and a link to a directory of any name.
      #expect(try Checkpoint.load(path.appending("state.safetensors")).hyperparameters.count == 3)
      let link = directory.appending("my best")
      #expect(symlink(path.string, link.string) == 0)
      #expect(try Checkpoint.load(link).step == 1)
    }
  }

  @Test func damagedOrMissingCheckpointIsRejected() throws {
    try withDirectory { directory in
      let path = try run(Model(7)).save(to: directory)
      let state = path.appending("state.safetensors")
      var bytes = try FileSystem.read(state)
      bytes[bytes.count - 1] ^= 1
      try FileSystem.replace(state, with: bytes, durable: false)
      let damaged = #expect(throws: HoldfastError.self) { try Checkpoint.load(path) }
      #expect(damaged?.description.contains("state.safetensors") == true)
      let missing = #expect(throws: HoldfastError.self) { try Checkpoint.load(directory.appending("none")) }
      #expect(missing?.description.contains("no such checkpoint") == true)
    }
  }
}
