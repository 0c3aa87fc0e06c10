import Checkpoints
import Reporting

/// What one component's state consists of.
struct ComponentSummary {
  var name: String
  var tensors: UInt64 = 0
  var tensorBytes: UInt64 = 0
  /// Values other than tensors.
  var values: UInt64 = 0

  /// Of all components, in their order.
  static func all(_ contents: ImageContents) throws(CheckpointError) -> [ComponentSummary] {
    let summaries = Summaries()
    try contents.walk { name in
      summaries.index(of: name)
    } leaf: { leaf in
      if case .tensor = leaf.content { return }
      summaries.list[summaries.index(of: leaf.component)].values &+= 1
    }
    try contents.tensors { tensor in
      let index = summaries.index(of: tensor.component)
      summaries.list[index].tensors &+= 1
      summaries.list[index].tensorBytes &+= UInt64(tensor.range.count)
    }
    return summaries.list
  }

  private final class Summaries {
    var list: [ComponentSummary] = []
    private var indices: [String: Int] = [:]

    @discardableResult
    func index(of name: String) -> Int {
      if let index = indices[name] { return index }
      indices[name] = list.count
      list.append(ComponentSummary(name: name))
      return list.count - 1
    }
  }

  var json: JSONValue {
    .object([
      "name": .string(name), "tensors": .count(tensors), "tensor_bytes": .count(tensorBytes),
      "values": .count(values),
    ])
  }
}
