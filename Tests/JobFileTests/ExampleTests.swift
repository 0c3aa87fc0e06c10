import Foundation
import Testing

@testable import JobFile

/// The installed example is valid and complete.
@Suite struct ExampleTests {
  static let text: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return (try? String(contentsOf: root.appendingPathComponent("units/example.toml"), encoding: .utf8)) ?? ""
  }()

  @Test func exampleIsValid() { #expect(problems(Self.text) == []) }

  /// Commented-out settings are valid too.
  @Test func exampleIsValidAndCompleteWithAllSettingsUncommented() throws {
    let keys = Setting.all.map(\.key)
    let lines = Self.text.split(separator: "\n").map { line in
      keys.contains { line.hasPrefix("# \($0) = ") } ? line.dropFirst(2) : line
    }
    let resolution = try settings(lines.joined(separator: "\n"))
    for setting in Setting.all {
      #expect(resolution.origin(of: setting) != .initial, "\(setting.name) is not in the example")
    }
  }

  @Test func exampleValuesAreTheDefaults() throws {
    let policy = try settings(Self.text).settings.policy
    #expect(policy == JobSettings().policy)
  }
}
