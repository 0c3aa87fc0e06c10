import JobFile
import Reporting
import Supervisor

extension ResolvedJob {
  /// nil: the trainer's own files are not adopted.
  /// - Throws: the setting and the words of the command do not fit together, or an option does not apply.
  func adoption() throws(Failure) -> AdoptionSettings? {
    var isUsed = false
    for word in settings.command {
      do throws(ResumeArgument.Mistake) {
        if try ResumeArgument(word) != nil { isUsed = true }
      } catch {
        guard settings.adoptedPattern != nil || word.contains("{resume:") else { continue }
        throw failure(.command, "invalid command: \(error)")
      }
    }
    guard var pattern = settings.adoptedPattern else {
      guard isUsed else { return nil }
      throw failure(.command, "'{resume:…}' in the command needs --adopt, the pattern of its checkpoints")
    }
    while pattern.count > 1, pattern.hasSuffix("/") { pattern.removeLast() }
    guard pattern.allSatisfy({ $0 != "\0" }), pattern != "/" else {
      throw failure(.adopt, "invalid pattern '\(pattern)' for --adopt")
    }
    let marker = settings.adoptedMarker
    guard !marker.hasPrefix("/"), !marker.split(separator: "/").contains("..") else {
      throw failure(.adoptMarker, "invalid marker '\(marker)': it is the name of a file in the directory")
    }
    for setting in Setting.notForCopies where resolution.origin(of: setting) == .commandLine {
      throw Failure(
        .usage, "--\(setting.option ?? setting.key) does not apply with --adopt", why: Self.reason,
        hints: ["leave it out; --keep-last and --keep-daily select the copies to keep"])
    }
    return AdoptionSettings(pattern: pattern, marker: marker)
  }

  private static let reason =
    "the trainer decides when it saves, and copies of its files have no steps and metrics"

  /// Settings of the file that do not apply to copies of the trainer's own files, and are ignored.
  var ignoredSettings: [String] {
    guard settings.adoptedPattern != nil else { return [] }
    return Setting.notForCopies.compactMap { setting in
      guard case .file(let path, let line) = resolution.origin(of: setting) else { return nil }
      return "warning: \(path):\(line): '\(setting.key)' is ignored with adopt: \(Self.reason)"
    }
  }

  /// The directory to which the trainer writes its checkpoints: the part of the pattern before its first wildcard. nil:
  /// unknown, or nothing is adopted.
  var adoptedDirectory: String? {
    guard let pattern = settings.adoptedPattern else { return nil }
    let fixed = pattern.prefix { !"*?[\\".contains($0) }
    let directory = fixed.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    if pattern.hasPrefix("/") { return directory.isEmpty ? nil : directory }
    return settings.workingDirectory.map { directory.isEmpty ? $0 : "\($0)/\(directory)" }
  }

  private func failure(_ setting: Setting, _ what: String) -> Failure {
    let example: Hint = "holdfast run --adopt 'out/*.ckpt' -- python3 train.py '{resume:--ckpt_path %}'"
    guard case .file(let path, let line) = resolution.origin(of: setting) else {
      return Failure(.usage, what, hints: [example])
    }
    return Failure(.configuration, what, path: "\(path):\(line)", hints: [example])
  }
}
