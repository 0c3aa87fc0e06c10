/// The message for an unknown key: where it belongs, or what was meant.
enum UnknownKey {
  static func message(_ key: String, in section: String?, isTable: Bool) -> String {
    if section == nil, isTable { return "unknown section [\(key)]\(sectionHint(key))" }
    let place = section.map { " in [\($0)]" } ?? ""
    return "unknown key '\(key)'\(place)\(hint(key, in: section))"
  }

  private static func sectionHint(_ name: String) -> String {
    let known = Setting.sections + [Setting.environment.key]
    guard let near = Suggestions.nearest(to: name, among: known) else {
      return "; known sections: \(known.map { "[\($0)]" }.joined(separator: ", "))"
    }
    return "; did you mean [\(near)]?"
  }

  private static func hint(_ key: String, in section: String?) -> String {
    if key == "again" { return "; it is not a setting; to start over: holdfast run --again" }
    let others = Setting.all.filter { $0.key == key }
    if let other = others.first {
      return other.section.map { "; it belongs in [\($0)]" }
        ?? "; it belongs at the top of the file, before the first [section]"
    }
    // The name of an option, or close to the name of a key: in this section first, then in the others.
    let here = Setting.all.filter { $0.section == section }
    if let setting = named(key, among: here) ?? near(key, among: here) {
      return "; did you mean '\(setting.key)'?"
    }
    if let setting = named(key, among: Setting.all) ?? near(key, among: Setting.all) {
      return "; did you mean '\(setting.key)'\(setting.section.map { " in [\($0)]" } ?? " at the top")?"
    }
    return "; known key\(here.count == 1 ? "" : "s"): \(here.map(\.key).joined(separator: ", "))"
  }

  private static func named(_ option: String, among settings: [Setting]) -> Setting? {
    settings.first { $0.option == option }
  }

  private static func near(_ key: String, among settings: [Setting]) -> Setting? {
    Suggestions.nearest(to: key, among: settings.map(\.key)).flatMap { near in
      settings.first { $0.key == near }
    }
  }
}
