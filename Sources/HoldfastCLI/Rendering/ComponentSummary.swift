import Checkpoints
import Reporting

/// What one component's state consists of.
struct ComponentSummary {
  var name: String
  var tensors: UInt64 = 0
  var tensorBytes: UInt64 = 0
  /// Values other than tensors.
  var values: UInt64 = 0
  /// Of a Lightning trainer: its optimizers, schedulers, callbacks and so on, which are included in the numbers.
  var parts: [ComponentSummary] = []

  /// Of all components, in their order.
  static func all(_ contents: ImageContents) throws(CheckpointError) -> [ComponentSummary] {
    let counts = Counts()
    try contents.walk { name in
      counts.begin(name)
    } leaf: { leaf in
      if case .tensor = leaf.content { return }
      counts.add(leaf.component, leaf.path) { $0.values &+= 1 }
    }
    try contents.tensors { tensor in
      counts.add(tensor.component, tensor.name) {
        $0.tensors &+= 1
        $0.tensorBytes &+= UInt64(tensor.range.count)
      }
    }
    return counts.summaries
  }

  private final class Counts {
    private var list: [ComponentSummary] = []
    private var indices: [String: Int] = [:]
    /// Parts of the component named `trainer`.
    private var parts: [ComponentSummary] = []
    private var partIndices: [String: Int] = [:]

    var summaries: [ComponentSummary] {
      list.map { component in
        var component = component
        if component.name == ComponentSummary.trainer { component.parts = parts }
        return component
      }
    }

    func begin(_ component: String) { add(component, "") { _ in } }

    func add(_ component: String, _ path: String, _ count: (inout ComponentSummary) -> Void) {
      count(&list[Self.index(of: component, &indices, &list)])
      guard component == ComponentSummary.trainer, let part = ComponentSummary.part(path) else { return }
      count(&parts[Self.index(of: part, &partIndices, &parts)])
    }

    private static func index(
      of name: String, _ indices: inout [String: Int], _ list: inout [ComponentSummary]
    ) -> Int {
      if let index = indices[name] { return index }
      indices[name] = list.count
      list.append(ComponentSummary(name: name))
      return list.count - 1
    }
  }

  // MARK: Lightning

  /// The component of the Python client for Lightning that contains the trainer's own checkpoint.
  private static let trainer = "trainer"

  /// The part of the trainer's checkpoint to which a value belongs.
  private static func part(_ path: String) -> String? {
    let keys = path.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 4).map {
      ImageWriter.unescape(String(decoding: $0, as: UTF8.self))
    }
    guard keys.count >= 3, keys[1] == "checkpoint" else { return nil }
    let nouns = ["optimizer_states": "optimizer", "lr_schedulers": "scheduler", "callbacks": "callback"]
    guard let noun = nouns[keys[2]], keys.count > 3 else { return keys[2] }
    return "\(noun) \(keys[3])"
  }

  /// Without the arguments that Lightning adds to a callback's name.
  var title: String { String(name.prefix { $0 != "{" }) }

  var json: JSONValue {
    .object([
      "name": .string(name), "tensors": .count(tensors), "tensor_bytes": .count(tensorBytes),
      "values": .count(values), "parts": .array(parts.map(\.json)),
    ])
  }
}
