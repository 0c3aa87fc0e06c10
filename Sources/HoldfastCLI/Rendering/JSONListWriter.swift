import Reporting

/// Prints a JSON object that contains one long list, piece by piece, without keeping it in memory.
struct JSONListWriter {
  /// In bytes.
  private static let pieceSize = 32 << 10

  private let output: Output
  /// Not printed yet.
  private var piece: String
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
    piece = "{\(before)\(before.isEmpty ? "" : ",")\"\(list)\":["
    self.after = "]\(after.isEmpty ? "" : ",")\(after)}"
  }

  mutating func append(_ element: JSONValue) {
    if !isFirst { piece += "," }
    piece += element.text(escaping: output.escaping)
    isFirst = false
    if piece.utf8.count >= Self.pieceSize { flush() }
  }

  /// Prints what was appended so far, for lists whose elements take long.
  mutating func flush() {
    output.json(part: piece)
    piece = ""
  }

  mutating func end() {
    piece += after + "\n"
    flush()
  }
}
