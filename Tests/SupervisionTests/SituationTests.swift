import Supervision
import Testing

/// Every situation against every event, with every value: what is done and what comes of it. The
/// expected lines are the specification. A line that is wrong is printed as it came out; whoever
/// changes the core reads it before it goes into the table.
@Suite struct SituationTests {
  @Test func tableContainsExactlyTheseSituations() {
    #expect(Set(expectedCells.keys) == Set(Situations.all.map(\.name)))
  }

  @Test func everyPhaseHasASituation() {
    let phases = Set(Situations.all.map { $0.make().state.phase })
    #expect(phases == Set(Phase.allCases))
    for (name, make) in Situations.all {
      let words = name.lowercased().split(separator: " ").prefix(2).joined()
      #expect(words.hasPrefix(make().state.phase.rawValue.lowercased()), "\(name) is \(make().state.phase)")
    }
  }

  @Test(arguments: Situations.all.map(\.name)) func everyCell(situation: String) throws {
    let driver = try #require(Situations.all.first { $0.name == situation }).make()
    var expected = Self.parse(expectedCells[situation] ?? "")
    for (name, event) in Situations.events {
      let line = driver.cell(for: event(driver.state)) ?? "nothing"
      let wanted = expected.removeValue(forKey: name) ?? "nothing"
      #expect(line == wanted, "\(situation) × \(name) is now:\n\(name) | \(line)")
    }
    #expect(expected.isEmpty, "events that there are not: \(expected.keys)")
  }

  /// `event | cell`; events that change nothing are left out.
  private static func parse(_ text: String) -> [String: String] {
    var cells: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "|", maxSplits: 1)
      guard parts.count == 2 else { continue }
      cells[parts[0].trimmingSpaces()] = parts[1].trimmingSpaces()
    }
    return cells
  }
}

extension Substring {
  fileprivate func trimmingSpaces() -> String {
    var rest = self
    while rest.first == " " { rest.removeFirst() }
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}
