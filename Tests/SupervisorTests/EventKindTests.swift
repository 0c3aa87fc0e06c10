import Foundation
import Systemd
import Testing
import Vocabulary

@testable import Supervisor

/// Every kind of event has its text for `journalctl -x`, and every text its kind.
@Suite struct EventKindTests {
  private static let catalog = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("units/holdfast.catalog")

  /// Header and text by message id.
  private func entries() throws -> [String: (header: [String], text: [String])] {
    var entries: [String: (header: [String], text: [String])] = [:]
    var id: String?
    var isText = false
    for line in try String(contentsOf: Self.catalog, encoding: .utf8).components(separatedBy: "\n") {
      if line.hasPrefix("-- ") {
        let new = String(line.dropFirst(3))
        #expect(entries.updateValue(([], []), forKey: new) == nil, "\(new) is there twice")
        (id, isText) = (new, false)
      } else if let id, line.isEmpty {
        isText = !(entries[id]?.header.isEmpty ?? true)
      } else if let id, isText {
        entries[id]?.text.append(line)
      } else if let id {
        entries[id]?.header.append(line)
      }
    }
    return entries
  }

  @Test func catalogHasExactlyTheEventKinds() throws {
    let entries = try entries()
    #expect(Set(entries.keys) == Set(EventKind.allCases.map(\.messageID)))
    #expect(Set(EventKind.allCases.map(\.messageID)).count == EventKind.allCases.count)
    for kind in EventKind.allCases {
      let entry = try #require(entries[kind.messageID], "\(kind)")
      #expect(
        entry.header.contains { $0.hasPrefix("Subject: ") } && entry.header.contains("Defined-By: Holdfast"))
      // What happened, and what to do.
      #expect(entry.text.count >= 2, "\(kind)")
      #expect(kind.messageID.count == 32 && kind.messageID.allSatisfy(\.isHexDigit))
    }
  }

  @Test func journaldAcceptsCatalog() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("catalog-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for place in ["usr/lib/systemd/catalog", "var/lib/systemd/catalog"] {
      try FileManager.default.createDirectory(
        at: root.appendingPathComponent(place), withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(
      at: Self.catalog, to: root.appendingPathComponent("usr/lib/systemd/catalog/holdfast.catalog"))
    let updated = try journalctl(["--update-catalog", "--root=\(root.path)"])
    #expect(updated.status == 0 && updated.text.isEmpty, "\(updated.text)")
    let listed = try journalctl(["--list-catalog", "--root=\(root.path)"])
    let ids = Set(listed.text.split(separator: "\n").map { String($0.prefix(32)) })
    #expect(ids == Set(EventKind.allCases.map(\.messageID)))
  }

  private func journalctl(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/journalctl")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  @Test func entriesHaveJobAttemptAndStep() {
    Console.begin(job: "resnet50")
    let entry = Console.Entry(
      text: "attempt 3 crashed", kind: .attemptEnded, attempt: 3, step: 41_820,
      fields: [("HOLDFAST_CAUSE", "crashed")], furtherLines: "Traceback:\n  line 1")
    let fields = Dictionary(uniqueKeysWithValues: Console.fields(entry).map { ($0.name, $0.value) })
    #expect(
      fields == [
        "MESSAGE": "attempt 3 crashed\nTraceback:\n  line 1", "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "holdfast",
        "MESSAGE_ID": EventKind.attemptEnded.messageID, "HOLDFAST_KIND": "attempt_ended",
        "HOLDFAST_JOB": "resnet50", "HOLDFAST_ATTEMPT": "3", "HOLDFAST_STEP": "41820",
        "HOLDFAST_CAUSE": "crashed",
      ])
  }

  @Test func escapeCodesAreRemovedFromMessagesOnly() {
    let text = "E\u{1b}[2J\n\u{202e}"
    let entry = Console.Entry(
      text: text, kind: .attemptEnded, fields: [("HOLDFAST_TRACEBACK", text)], furtherLines: text)
    let fields = Console.fields(entry)
    #expect(fields.first { $0.name == "MESSAGE" }?.value == "E\\x1b[2J\\n\\u202e\nE\\x1b[2J\n\\u202e")
    #expect(fields.last?.value == text, "programs read the field")
    #expect(Notification.status("a\u{9b}\nMAINPID=1").visible == .status("a\\u009b\\nMAINPID=1"))
    #expect(Notification.ready.visible == .ready)
  }

  @Test func priorityDependsOnSeverity() {
    func priority(_ kind: EventKind?, isWarning: Bool) -> String? {
      Console.fields(.init(text: "", isWarning: isWarning, kind: kind)).first { $0.name == "PRIORITY" }?.value
    }
    #expect(priority(.gaveUp, isWarning: true) == "3" && priority(.degraded, isWarning: true) == "4")
    #expect(priority(.published, isWarning: false) == "6" && priority(nil, isWarning: true) == "4")
  }
}
