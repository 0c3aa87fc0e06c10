/// Checks a file against the table of settings. It continues after a mistake, so that one run reports all.
struct Checker {
  struct Problems: Error {
    var all: [Problem]
  }

  private(set) var given: [JobFile.Given] = []
  private(set) var problems: [Problem] = []
  private let source: SourceText
  private let locator: Locator
  private let base: String

  init(_ source: SourceText, _ locator: Locator, base: String) {
    self.source = source
    self.base = base
    self.locator = locator
  }

  mutating func check(_ nodes: [String: Node], needsCommand: Bool) {
    if let nul = locator.nul {
      problems.append(Problem("strings cannot contain U+0000", at: nul, in: source))
    }
    for (key, node) in nodes {
      if let setting = Setting.find(nil, key) {
        check(setting, node)
      } else if Setting.sections.contains(key) {
        checkSection(key, node)
      } else {
        let isTable = if case .table = node { true } else { false }
        note(UnknownKey.message(key, in: nil, isTable: isTable), [.key(key)])
      }
    }
    given.sort { Self.rank($0.setting) < Self.rank($1.setting) }
    let hasCommand = given.contains { $0.setting.name == Setting.command.name }
    // An invalid or misplaced command was already reported.
    if needsCommand, !hasCommand, !problems.contains(where: { $0.what.contains("'command'") }) {
      let example = "add at the top of the file: command = [\"python3\", \"train.py\"]"
      problems.append(Problem("'command' is missing; \(example)", at: Place(line: 1, column: 1), in: source))
    }
  }

  private static func rank(_ setting: Setting) -> Int {
    Setting.all.firstIndex { $0.name == setting.name } ?? Setting.all.count
  }

  private mutating func checkSection(_ section: String, _ node: Node) {
    guard case .table(let entries) = node else {
      let isRepeated = if case .array = node { true } else { false }
      let what =
        isRepeated ? "may appear only once: write [\(section)]" : "is a section: write [\(section)]"
      return note("'\(section)' \(what) and its keys below it", [.key(section)])
    }
    for (key, node) in entries {
      if let setting = Setting.find(section, key) {
        check(setting, node)
      } else {
        note(UnknownKey.message(key, in: section, isTable: false), [.key(section), .key(key)])
      }
    }
  }

  private mutating func check(_ setting: Setting, _ node: Node) {
    var scratch = JobSettings()
    do {
      try setting.read(node, base, &scratch)
      given.append(
        JobFile.Given(setting: setting, place: place(setting.path, ofName: true), node: node, base: base))
    } catch {
      for mistake in error.all {
        let place = place(setting.path + mistake.part, ofName: mistake.isAboutName)
        let place2 = setting.section.map { " in [\($0)]" } ?? ""
        problems.append(
          Problem("'\(setting.key)'\(place2): \(mistake.description)", at: place, in: source))
      }
    }
  }

  private mutating func note(_ what: String, _ path: Locator.Path) {
    problems.append(Problem(what, at: place(path, ofName: true), in: source))
  }

  private func place(_ path: Locator.Path, ofName: Bool) -> Place {
    guard let entry = locator.entries[path] else { return Place(line: 1, column: 1) }
    return ofName ? entry.key : entry.value
  }
}
