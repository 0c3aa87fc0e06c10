import Foundation
import NotifyListener
import Testing

/// What journald gets when standard error is the journal. A listener stands where journald would, in a mount
/// namespace that only the supervisor is in.
@Suite struct JournalTests {
  private static let isPossible: Bool = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["--mount", "true"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  /// Fields of a native entry: `NAME=value`, or the name alone, a length and a value of several lines.
  private static func fields(_ entry: [UInt8]) -> [String: String] {
    var fields: [String: String] = [:]
    var rest = entry[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = rest[..<end]
      rest = rest[(end + 1)...]
      if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
        fields[String(decoding: line[..<equals], as: UTF8.self)] = String(
          decoding: line[(equals + 1)...], as: UTF8.self)
      } else if rest.count > 8 {
        let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(8)
        fields[String(decoding: line, as: UTF8.self)] = String(decoding: rest.prefix(length), as: UTF8.self)
        rest = rest.dropFirst(length + 1)
      }
    }
    return fields
  }

  @Test(.enabled(if: isPossible, "needs root: a mount namespace"))
  func eventsAreEntriesWithFields() throws {
    let bench = Workbench()
    defer { bench.close() }
    let place = bench.base + "/journal"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    let journald = DatagramListener(place + "/socket")
    let errors = bench.base + "/stream"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = [
      "--mount", "sh", "-ec",
      """
      mount -t tmpfs tmpfs /run
      mkdir -p /run/systemd/journal
      mount --bind \(place) /run/systemd/journal
      exec 2>\(errors)
      export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2)
      exec "$@"
      """, "sh", Programs.holdfast, "run", "--job", "test", "--state-dir", bench.state, "--run-dir",
      bench.run,
      "--", Programs.faulty, "fail-in-batch", bench.base + "/once",
    ]
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    var entries: [[String: String]] = []
    try bench.wait(for: "the end") {
      while let entry = journald.receive() { entries.append(Self.fields(entry)) }
      return !process.isRunning
    }
    while let entry = journald.receive() { entries.append(Self.fields(entry)) }
    #expect(process.terminationStatus == 0)
    let said = try String(contentsOfFile: errors, encoding: .utf8)
    #expect(!said.contains("holdfast:"), "no line beside the entries: \(said)")
    #expect(entries.allSatisfy { $0["HOLDFAST_JOB"] == "test" && $0["PRIORITY"] != nil }, "\(entries)")
    let ends = entries.filter { $0["HOLDFAST_KIND"] == "attempt_ended" && $0["HOLDFAST_ATTEMPT"] == "1" }
    let end = try #require(ends.first)
    #expect(ends.count == 1 && end["HOLDFAST_CAUSE"] == "crashed" && end["HOLDFAST_EXIT_STATUS"] == "1")
    #expect(end["MESSAGE_ID"]?.count == 32 && end["HOLDFAST_STEP"] == "60", "\(end)")
    #expect(end["MESSAGE"]?.contains("Target 1000 is out of bounds") == true, "\(end)")
  }
}
