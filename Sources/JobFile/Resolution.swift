import Supervision
import SystemPackage

/// The settings of a job and the origin of each. The command line takes precedence over the file, the file
/// over the default.
public struct Resolution: Sendable {
  public enum Origin: Hashable, Sendable {
    case commandLine
    case file(path: String, line: Int)
    /// The named environment variable.
    case environment(String)
    case initial
  }

  /// An option or the command, as given on the command line.
  public struct Argument: Sendable {
    public let setting: Setting
    let apply: @Sendable (inout JobSettings) throws(Mistakes) -> Void

    /// - Throws: `text` is not a valid value of `setting`.
    public init(_ setting: Setting, _ text: String) throws(Mistakes) {
      try setting.check(text)
      self.setting = setting
      apply = { (settings) throws(Mistakes) in try setting.parse(text, &settings) }
    }

    /// Turns on a setting whose option has no value.
    public init(on setting: Setting) {
      self.setting = setting
      apply = { (settings) throws(Mistakes) in try setting.parse("true", &settings) }
    }

    /// Turns off a setting that is on by default.
    public init(off setting: Setting) {
      self.setting = setting
      apply = { (settings) throws(Mistakes) in try setting.parse("false", &settings) }
    }

    /// The words after `--`.
    public init(command: [String]) {
      setting = .command
      apply = { $0.command = command }
    }
  }

  public private(set) var settings = JobSettings()
  private var origins: [String: Origin] = [:]

  public init(file: JobFile?, arguments: [Argument]) {
    do {
      for given in file?.given ?? [] {
        try given.setting.read(given.node, given.base, &settings)
        origins[given.setting.name] = .file(path: file?.path.string ?? "", line: given.place.line)
      }
      let policyNames = Setting.policySettings.map(\.name)
      if arguments.contains(where: { policyNames.contains($0.setting.name) }) {
        settings.policy.additional = []
        origins[Setting.checkpointPolicies.name] = nil
      }
      for argument in arguments {
        try argument.apply(&settings)
        origins[argument.setting.name] = .commandLine
      }
    } catch {
      preconditionFailure("a checked value is invalid: \(error)")
    }
  }

  public func origin(of setting: Setting) -> Origin { origins[setting.name] ?? .initial }

  public struct Difference: Sendable {
    public let setting: Setting
    public let old: Node?
    public let new: Node?
  }

  /// The settings that `new` changes, in the order of `Setting.all`.
  public func changes(to new: Resolution) -> [Difference] {
    Setting.all.compactMap { setting in
      let (old, new) = (setting.value(settings), setting.value(new.settings))
      return old == new ? nil : Difference(setting: setting, old: old, new: new)
    }
  }
}
