import Reporting

/// Prints a JSON object that contains one long list, element by element, without keeping it in memory.
struct JSONListWriter {
  private let output: Output
  private let after: String
  private var isFirst = true

  /// - Parameters:
  ///   - list: name of the list.
  ///   - members: all other members.
  init(_ output: Output, list: String, members: [String: JSONValue]) {
    self.output = output
    func text(_ members: [String: JSONValue]) -> Substring {
      JSONValue.object(members).text(escaping: output.escaping).dropFirst().dropLast()
    }
    let before = text(members.filter { $0.key < list })
    let after = text(members.filter { $0.key > list })
    output.json(part: "{\(before)\(before.isEmpty ? "" : ",")\"\(list)\":[")
    self.after = "]\(after.isEmpty ? "" : ",")\(after)}"
  }

  mutating func append(_ element: JSONValue) {
    output.json(part: (isFirst ? "" : ",") + element.text(escaping: output.escaping))
    isFirst = false
  }

  consuming func end() { output.json(part: after + "\n") }
}
