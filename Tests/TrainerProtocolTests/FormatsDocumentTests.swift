import CTrainerProtocol
import Foundation
import Testing

@testable import TrainerProtocol

/// `Formats.md` and `CTrainerProtocol.h` describe the same layouts.
@Suite struct FormatsDocumentTests {
  private let header: Header
  private let document: Document

  init() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    func text(_ path: String) throws -> String {
      try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
    header = try Header(text("Sources/CTrainerProtocol/include/CTrainerProtocol.h"))
    document = try Document(text("Sources/Holdfast/Documentation.docc/Formats.md"))
  }

  /// Guards against a parser that silently misses a part of the header.
  @Test func theHeaderIsParsedAsTheCompilerSeesIt() {
    #expect(
      header.structs.mapValues(\.size) == [
        "hf_ring_header": MemoryLayout<hf_ring_header>.size,
        "hf_record_header": MemoryLayout<hf_record_header>.size,
        "hf_snapshot": MemoryLayout<hf_snapshot>.size,
        "hf_staged": MemoryLayout<hf_staged>.size,
        "hf_slot_header": MemoryLayout<hf_slot_header>.size,
      ])
    #expect(!header.assertions.isEmpty)
    for assertion in header.assertions {
      let field = header.structs[assertion.structure]?.fields.first { $0.name == assertion.field }
      #expect(field?.offset == header.constants[assertion.constant].map(Int.init), "\(assertion)")
    }
    #expect(header.constants["HF_RING_MAGIC"] == HF_RING_MAGIC)
    #expect(header.constants["HF_SLOT_MAGIC"] == HF_SLOT_MAGIC)
    #expect(header.constants["HF_NO_SLOT"] == UInt64(HF_NO_SLOT))
    #expect(
      Set(header.enums.keys) == [
        "hf_request_kind", "hf_outcome", "hf_restoring", "hf_verdict", "hf_record_kind", "hf_part_kind",
        "hf_epoch_end",
      ])
    #expect(header.enums["hf_record_kind"]?["HF_RECORD_METRIC_NAMES"] == Int(HF_RECORD_METRIC_NAMES.rawValue))
  }

  @Test func everyFieldHasOneRowAndEveryRowAField() {
    #expect(Set(document.layouts.keys) == Set(header.structs.keys))
    for (name, structure) in header.structs {
      let rows = document.layouts[name]?.rows ?? []
      #expect(Set(rows.map(\.name)).count == rows.count, "\(name): a field has two rows")
      let described = Set(rows.map(\.field))
      let defined = Set(structure.fields)
      let required = defined.filter { !$0.name.hasPrefix("reserved") }
      #expect(
        required.subtracting(described).isEmpty,
        "\(name): not in the document, or with another offset or type")
      #expect(
        described.subtracting(defined).isEmpty, "\(name): not in the header, or with another offset or type")
      #expect(document.layouts[name]?.size == structure.size, "\(name)")
    }
  }

  @Test func everyEnumValueHasOneRowAndEveryRowAValue() {
    #expect(Set(document.enums.keys) == Set(header.enums.keys))
    for (name, values) in header.enums { #expect(document.enums[name] == values, "\(name)") }
  }

  @Test func statedValuesAreThoseOfTheHeader() throws {
    for (structure, magic) in [("hf_ring_header", "HF_RING_MAGIC"), ("hf_slot_header", "HF_SLOT_MAGIC")] {
      let value = try #require(header.constants[magic])
      let bytes = String(
        decoding: (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }, as: UTF8.self)
      #expect(try meaning(structure, "magic") == "the bytes `\(bytes)`")
      #expect(try meaning(structure, "version") == "\(#require(header.constants["HF_PROTOCOL_VERSION"]))")
      #expect(try meaning(structure, "header_bytes") == "\(#require(header.constants["HF_HEADER_BYTES"]))")
    }
    for (structure, checksum) in [("hf_ring_header", "identity_crc"), ("hf_slot_header", "header_crc")] {
      let field = try #require(header.structs[structure]?.fields.first { $0.name == checksum })
      #expect(try meaning(structure, checksum) == "CRC-32 of the \(field.offset) bytes before it")
    }
    #expect(document.text.contains("`HF_HEADER_BYTES` (\(HF_HEADER_BYTES))"))
    #expect(HF_NO_SLOT == .max && document.text.contains("`HF_NO_SLOT` (2³²−1)"))
    let phases: [LoopState.Phase] = [.training, .validation, .other]
    #expect(
      try meaning("hf_snapshot", "phase") == phases.map { "\($0.rawValue) \($0)" }.joined(separator: ", "))
  }

  private func meaning(_ structure: String, _ field: String) throws -> String {
    try #require(document.layouts[structure]?.rows.first { $0.name == field }).meaning
  }
}

private struct Field: Hashable, CustomStringConvertible {
  var offset: Int
  var type: String
  var name: String
  var description: String { "\(offset) \(type) \(name)" }
}

private struct Header {
  var structs: [String: (fields: [Field], size: Int)] = [:]
  var enums: [String: [String: Int]] = [:]
  var constants: [String: UInt64] = [:]
  var assertions: [(structure: String, field: String, constant: String)] = []

  init(_ text: String) throws {
    let code = text.replacing(/\/\/[^\n]*/, with: "").replacing(/\/\*.*?\*\//, with: "")
    for match in code.matches(of: /#define (HF_\w+) (0x)?([0-9a-f]+?)u?l*\s/) {
      constants[String(match.1)] = UInt64(match.3, radix: match.2 == nil ? 10 : 16)
    }
    for match in code.matches(of: /HF_AT\((hf_\w+), (\w+), (HF_\w+)\)/) {
      assertions.append((String(match.1), String(match.2), String(match.3)))
    }
    for match in code.matches(of: /struct (hf_\w+) \{([^}]*)\}/) {
      structs[String(match.1)] = try Self.layout(match.2)
    }
    for match in code.matches(of: /enum (hf_\w+) \{([^}]*)\}/) {
      let values = match.2.matches(of: /(HF_\w+) = (\d+)/).map { (String($0.1), Int($0.2) ?? -1) }
      enums[String(match.1)] = Dictionary(uniqueKeysWithValues: values)
    }
  }

  /// Offsets by C's rule: each field is aligned to its element.
  private static func layout(_ body: Substring) throws -> (fields: [Field], size: Int) {
    var fields: [Field] = []
    var end = 0
    var alignment = 1
    for declaration in body.split(separator: ";") where declaration.contains(/\w/) {
      let match = try #require(
        declaration.trimmingCharacters(in: .whitespacesAndNewlines)
          .wholeMatch(of: /uint(\d+)_t (\w+)(?:\[(\d+)\])?/), "\(declaration)")
      let bits = try #require(Int(match.1))
      let count = match.3.flatMap { Int($0) }
      end = (end + bits / 8 - 1) / (bits / 8) * (bits / 8)
      alignment = max(alignment, bits / 8)
      fields.append(
        Field(offset: end, type: count.map { "\($0 * bits / 8) bytes" } ?? "u\(bits)", name: String(match.2)))
      end += bits / 8 * (count ?? 1)
    }
    return (fields, (end + alignment - 1) / alignment * alignment)
  }
}

/// A table with the column `offset` or `constant` describes the struct or enum that was named last before it.
private struct Document {
  struct Row {
    var field: Field
    var meaning: String
    var name: String { field.name }
  }

  let text: String
  var layouts: [String: (rows: [Row], size: Int?)] = [:]
  var enums: [String: [String: Int]] = [:]

  init(_ text: String) throws {
    self.text = text
    var structure = ""
    var enumeration = ""
    var size: Int?
    var columns: [String] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.hasPrefix("|") else {
        columns = []
        if let match = line.matches(of: /`struct (hf_\w+)`, (\d+) bytes/).last {
          (structure, size) = (String(match.1), Int(match.2))
        }
        if let match = line.matches(of: /`enum (hf_\w+)`/).last { enumeration = String(match.1) }
        continue
      }
      let cells = line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      if columns.isEmpty {
        columns = cells
        if cells.starts(with: ["offset", "type", "field", "meaning"]) {
          #expect(layouts.updateValue(([], size), forKey: structure) == nil, "\(structure) has two tables")
        } else if cells.starts(with: ["value", "constant"]) {
          #expect(enums.updateValue([:], forKey: enumeration) == nil, "\(enumeration) has two tables")
        }
      } else if cells.allSatisfy({ $0 == "---" }) {
        continue
      } else if columns.first == "offset" {
        let field = Field(
          offset: try #require(Int(cells[0]), "\(line)"), type: cells[1], name: try Self.code(cells[2]))
        layouts[structure]?.rows.append(Row(field: field, meaning: cells[3]))
      } else if columns.first == "value" {
        let value = try #require(Int(cells[0]), "\(line)")
        #expect(
          enums[enumeration]?.updateValue(value, forKey: try Self.code(cells[1])) == nil, "two rows: \(line)")
      }
    }
  }

  private static func code(_ cell: String) throws -> String {
    String(try #require(cell.wholeMatch(of: /`(\w+)`/), "no name in code font: \(cell)").1)
  }
}
