/// A setting: its names, its kind, and the property that stores it. `Setting.all` is the only list of them;
/// the file, the command line, `config show` and the manual are generated from it.
public struct Setting: Sendable {
  public enum Change: String, Sendable {
    /// Applied by a reload while the job runs.
    case atOnce = "at once"
    /// Applied at the next start of the supervisor.
    case nextStart = "next start"
  }

  /// nil: at the top of the file, before its first section.
  public let section: String?
  public let key: String
  /// Without dashes; nil: not available on the command line.
  public let option: String?
  public let change: Change
  public let placeholder: String
  public let summary: String
  /// Description of the default if it is not a value.
  public let unset: String

  let read: @Sendable (_ node: Node, _ base: String, _ settings: inout JobSettings) throws(Mistakes) -> Void
  let parse: @Sendable (_ argument: String, _ settings: inout JobSettings) throws(Mistakes) -> Void
  /// nil: not set.
  public let value: @Sendable (JobSettings) -> Node?

  init<Value>(
    _ section: String?, _ key: String, option: String? = nil, _ kind: Kind<Value>,
    _ path: any WritableKeyPath<JobSettings, Value> & Sendable, _ change: Change,
    unset: String = "none", _ summary: String
  ) {
    self.section = section
    self.key = key
    self.option = option
    self.change = change
    self.summary = summary
    self.unset = unset
    placeholder = kind.placeholder
    read = { (node, base, settings) throws(Mistakes) in settings[keyPath: path] = try kind.read(node, base) }
    parse = { (argument, settings) throws(Mistakes) in
      settings[keyPath: path] = try kind.read(kind.node(argument), "")
    }
    value = { kind.write($0[keyPath: path]) }
  }

  /// `checkpoint.interval`
  public var name: String { section.map { "\($0).\(key)" } ?? key }

  var path: Locator.Path { (section.map { [.key($0)] } ?? []) + [.key(key)] }

  /// The default, as written in a file; nil if it has no value.
  public var initial: Node? { value(JobSettings()) }

  /// - Throws: `argument` is not a valid value.
  public func check(_ argument: String) throws(Mistakes) {
    var settings = JobSettings()
    try parse(argument, &settings)
  }
}
