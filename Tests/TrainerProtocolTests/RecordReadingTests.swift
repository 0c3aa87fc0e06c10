import Reporting
import Testing

@testable import TrainerProtocol

/// Every field of every record, missing or invalid in every way, is reported by name, and the others are used.
@Suite struct RecordReadingTests {
  static let attachedFields = [
    "pid": "7", "library": "\"swift\"", "total_steps": "10", "total_epochs": "2", "batches_per_epoch": "5",
    "hyperparameters": "{\"lr\":0.1,\"name\":\"x\",\"big\":18446744073709551615}", "stacks_signal": "12",
  ]
  static let failureFields = ["type": "\"E\"", "message": "\"m\"", "traceback": "\"t\""]

  private static func json(_ fields: [String: String]) -> [UInt8] {
    Array(("{" + fields.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}").utf8)
  }

  private func attached(_ bytes: [UInt8]) -> (Attached, [RecordProblem]) {
    bytes.withUnsafeBytes { RecordReading.attached($0) }
  }

  private func failure(_ bytes: [UInt8]) -> (Failure, [RecordProblem]) {
    bytes.withUnsafeBytes { RecordReading.failure($0) }
  }

  @Test func validRecordsAreRead() {
    let (value, problems) = attached(Self.json(Self.attachedFields.merging(["new_field": "[{}]"]) { $1 }))
    #expect(problems.isEmpty)
    #expect(value.pid == 7 && value.library == "swift" && value.totalSteps == 10 && value.stacksSignal == 12)
    #expect(value.hyperparameters["lr"] == .real(0.1) && value.hyperparameters.count == 3)
    #expect(failure(Self.json(Self.failureFields)).0 == Failure(type: "E", message: "m", traceback: "t"))
  }

  @Test(arguments: attachedFields.keys.sorted()) func invalidFieldOfAttachedIsReported(field: String) {
    let isRequired = ["pid", "library"].contains(field)
    for value in [nil, "null"] {
      var fields = Self.attachedFields
      fields[field] = value
      let problems = attached(Self.json(fields)).1
      #expect(
        problems == (isRequired ? [RecordProblem(.attached, field, "is missing")] : []), "\(value ?? "-")")
    }
    var wrong = ["[]", "{}", "true", "1.5", "\"text\"", "-1", "99999999999999999999999", "1e400"]
    if field == "library" { wrong.removeAll { $0 == "\"text\"" } }
    if field == "hyperparameters" { wrong.removeAll { $0 == "{}" } }
    for value in wrong {
      let (read, problems) = attached(Self.json(Self.attachedFields.merging([field: value]) { $1 }))
      let isUnreadable = value == "1e400" || value.count > 20
      #expect(problems.count == 1, "\(field): \(value)")
      if !isUnreadable {
        #expect(problems.first?.field == field, "\(value): \(problems)")
        #expect(field == "library" || read.library == "swift", "the others are used")
      }
    }
  }

  /// Of any type; 1.0 stays a real number.
  @Test func hyperparametersKeepTheirTypes() {
    let text = #"{"a":1,"b":[1,1.0],"c":{"d":null},"e":0.0,"f":"1.0","g":true}"#
    let (value, problems) = attached(Self.json(Self.attachedFields.merging(["hyperparameters": text]) { $1 }))
    #expect(problems.isEmpty)
    #expect(
      value.hyperparameters == [
        "a": .integer(1), "b": .array([.integer(1), .real(1)]), "c": .object(["d": .null]), "e": .real(0),
        "f": .string("1.0"), "g": .bool(true),
      ])
    // Own documents too.
    let again = attached(JSON.encode(value))
    #expect(again.0 == value && again.1.isEmpty)
  }

  @Test(arguments: failureFields.keys.sorted()) func invalidFieldOfFailureIsReported(field: String) {
    for value in [nil, "null", "7", "[]", "{}", "true"] {
      var fields = Self.failureFields
      fields[field] = value
      let (read, problems) = failure(Self.json(fields))
      let isFine = field == "traceback" && (value == nil || value == "null")
      #expect(problems.map(\.field) == (isFine ? [] : [field]), "\(value ?? "-")")
      #expect(field == "type" || read.type == "E", "the others are used")
    }
  }

  @Test(arguments: ["", "{", "[]", "null", "7", "\u{0}\u{1}", "[[[[", "{\"pid\":}"])
  func invalidJSONIsReported(
    text: String
  ) {
    #expect(attached(Array(text.utf8)).1 == [RecordProblem(.attached, nil, "is not a JSON object")])
    #expect(failure(Array(text.utf8)).1.count == 1)
    let names = Array(text.utf8).withUnsafeBytes { RecordReading.metricNames($0) }
    #expect(text == "[]" ? names.0 == [] : names.0 == nil && names.1.count == 1)
  }

  @Test func invalidMetricNameIsReplacedByNumber() {
    let (names, problems) = Array("[\"a\",7,\"c\"]".utf8).withUnsafeBytes { RecordReading.metricNames($0) }
    #expect(names == ["a", "#2", "c"] && problems.map(\.field) == ["[1]"])
  }

  @Test func truncatedAnswerIsPartlyUsed() {
    let staged = Staged(requestSequence: 3, step: 9, imageBytes: 5, cutID: CutID(), slot: 1, outcome: .staged)
    var bytes = [UInt8](repeating: 0, count: Staged.encodedBytes)
    bytes.withUnsafeMutableBytes { staged.encode(into: $0) }
    func read(_ bytes: [UInt8], _ kind: RecordKind = .staged) -> (Staged?, [RecordProblem]) {
      bytes.withUnsafeBytes { RecordReading.staged(kind, $0, arenaSlots: 2) }
    }
    #expect(read(bytes).0 == staged && read(bytes).1.isEmpty)
    #expect(read(bytes + [1, 2, 3]).0 == staged && read(bytes + [1]).1.isEmpty, "of a later version")
    // Of an older version.
    #expect(read(Array(bytes[..<64])).0?.slot == 1 && read(Array(bytes[..<64])).1.isEmpty)
    for count in 0..<64 {
      let (value, problems) = read(Array(bytes[..<count]))
      #expect(problems.count == 1 && (value == nil) == (count < 16))
      #expect(value.map { $0.outcome == .failed && $0.requestSequence == 3 && $0.step == 9 } ?? true)
    }
    var wrong = bytes
    wrong.withUnsafeMutableBytes { $0.baseAddress?.put(UInt32(99), at: UInt32(44)) }
    var answer = staged
    answer.slot = 7
    var outside = bytes
    outside.withUnsafeMutableBytes { answer.encode(into: $0) }
    #expect(read(outside).1.map(\.field) == ["slot"] && read(outside).0?.outcome == .failed)
    #expect(read(outside, .finished).0?.slot == nil && read(outside, .finished).0?.step == 9)
    #expect(read(wrong).1.map(\.field) == ["outcome"] && read(wrong).0?.requestSequence == 3)
  }

  @Test func invalidSnapshotIsReported() {
    var bytes = [UInt8](repeating: 0, count: 56)
    func problem() -> RecordProblem? { bytes.withUnsafeBytes { SnapshotView.problem($0) } }
    #expect(problem() == nil)
    bytes[40] = 9
    #expect(problem()?.field == "phase")
    bytes[40] = 0
    bytes[42] = 50
    #expect(problem()?.field == "number of metrics")
    bytes[42] = 0
    bytes[44] = 1
    #expect(problem()?.field == "parts")
    bytes[44] = 0
    bytes[52] = 1
    #expect(problem()?.field == "bytes of the image")
    bytes = [1, 2, 3]
    #expect(problem()?.field == nil && problem() != nil)
  }
}
