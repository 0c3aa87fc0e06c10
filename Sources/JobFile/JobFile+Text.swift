import SystemPackage

extension JobFile {
  /// The text of a file that sets every value of `resolution` that is not a default.
  /// - Parameter heading: lines of the comment at its top.
  public static func text(of resolution: Resolution, heading: [String]) -> String {
    let given = Setting.all.filter { resolution.origin(of: $0) != .initial }
    var lines = heading.map { "# \($0)" }
    lines += given.filter { $0.section == nil }.compactMap { line($0, resolution) }
    for section in Setting.sections {
      let values = given.filter { $0.section == section }.compactMap { line($0, resolution) }
      if !values.isEmpty { lines += ["", "[\(section)]"] + values }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func line(_ setting: Setting, _ resolution: Resolution) -> String? {
    setting.value(resolution.settings).map { "\(setting.key) = \($0.toml)" }
  }

  /// Checks `text` before it is written to `path`.
  public static func check(_ text: String, as path: FilePath) throws(JobFileError) {
    _ = try JobFile(bytes: Array(text.utf8), path: path, needsCommand: true)
  }
}
