import SystemPackage

/// The settings of a job, and where each came from: the command line over the file over the default.
public struct Resolution: Sendable {
  public enum Origin: Hashable, Sendable {
    case commandLine
    case file(path: String, line: Int)
    /// A variable of the environment.
    case environment(String)
    case initial
  }

  /// An option or the command, as it stood on the command line.
  public struct Argument: Sendable {
    public let setting: Setting
    let apply: @Sendable (inout JobSettings) throws(Mistakes) -> Void

    /// - Throws: when `text` is no value of `setting`.
    public init(_ setting: Setting, _ text: String) throws(Mistakes) {
      try setting.check(text)
      self.setting = setting
      apply = { (settings) throws(Mistakes) in try setting.parse(text, &settings) }
    }

    /// Of a setting that is an option without a value.
    public init(on setting: Setting) {
      self.setting = setting
      apply = { (settings) throws(Mistakes) in try setting.parse("true", &settings) }
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
      for argument in arguments {
        try argument.apply(&settings)
        origins[argument.setting.name] = .commandLine
      }
    } catch {
      preconditionFailure("a value that was found right is wrong: \(error)")
    }
  }

  public func origin(of setting: Setting) -> Origin { origins[setting.name] ?? .initial }

  public struct Difference: Sendable {
    public let setting: Setting
    public let old: Node?
    public let new: Node?
  }

  /// What `new` changes, in the order of the table.
  public func changes(to new: Resolution) -> [Difference] {
    Setting.all.compactMap { setting in
      let (old, new) = (setting.value(settings), setting.value(new.settings))
      return old == new ? nil : Difference(setting: setting, old: old, new: new)
    }
  }
}
