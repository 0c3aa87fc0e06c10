import ArgumentParser
import JobFile

/// Options for settings; name and help are those in the table of settings.
struct SettingOptions: ParsableArguments {
  @Option(.jobName) var job: Resolution.Argument?
  @Option(.stateDirectory) var stateDirectory: Resolution.Argument?
  @Option(.runDirectory) var runDirectory: Resolution.Argument?
  @Option(.checkpointInterval) var every: Resolution.Argument?
  @Option(.stageInterval) var stageEvery: Resolution.Argument?
  @Option(.grace) var grace: Resolution.Argument?
  @Option(.stepTimeout) var stepTimeout: Resolution.Argument?
  @Option(.maxStalls) var maxStalls: Resolution.Argument?
  @Option(.skipBatchAfter) var skipBatchAfter: Resolution.Argument?
  @Flag(.requireIdentical) var requireIdentical = false
  @Option(.preemption) var preemption: Resolution.Argument?
  @Option(.metricsListen) var metricsListen: Resolution.Argument?
  @Option(.metricsFile) var metricsFile: Resolution.Argument?

  /// Options that were given.
  var arguments: [Resolution.Argument] {
    let options = Mirror(reflecting: self).children.compactMap {
      ($0.value as? Option<Resolution.Argument?>)?.wrappedValue
    }
    return options + (requireIdentical ? [Resolution.Argument(on: .requireIdentical)] : [])
  }
}

extension Flag where Value == Bool {
  /// The flag of a setting.
  init(wrappedValue: Bool, _ setting: Setting) {
    self.init(
      wrappedValue: wrappedValue, name: .customLong(setting.option ?? setting.key),
      help: ArgumentHelp("\(setting.summary)"))
  }
}

extension Option where Value == Resolution.Argument? {
  /// The option of a setting.
  init(_ setting: Setting) {
    let initial = setting.initial.map { node in if case .string(let text) = node { text } else { node.toml } }
    self.init(
      name: .customLong(setting.option ?? setting.key),
      help: ArgumentHelp(
        "\(setting.summary) Default: \(initial ?? setting.unset).", valueName: setting.placeholder),
      transform: { text in
        do {
          return try Resolution.Argument(setting, text)
        } catch {
          throw ValidationError("\(error)")
        }
      })
  }
}
