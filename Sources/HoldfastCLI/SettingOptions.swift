import ArgumentParser
import JobFile

/// Options for settings; name and help are those in the table of settings.
struct SettingOptions: ParsableArguments {
  @Option(.jobName) var job: Resolution.Argument?
  @Option(.stateDirectory) var stateDirectory: Resolution.Argument?
  @Option(.runDirectory) var runDirectory: Resolution.Argument?
  @Option(.checkpointInterval) var every: Resolution.Argument?
  @Option(.everySteps) var everySteps: Resolution.Argument?
  @Option(.everyEpochs) var everyEpochs: Resolution.Argument?
  @Option(.saveOnTrainEpochEnd) var saveOnTrainEpochEnd: Resolution.Argument?
  @Option(.keepLast) var keepLast: Resolution.Argument?
  @Option(.keepBest) var keepBest: Resolution.Argument?
  @Option(.monitor) var monitor: Resolution.Argument?
  @Option(.mode) var mode: Resolution.Argument?
  @Option(.keepEverySteps) var keepEverySteps: Resolution.Argument?
  @Option(.keepDaily) var keepDaily: Resolution.Argument?
  @Flag(.weightsOnly) var weightsOnly = false
  @Flag(.saveLast) var saveLast = false
  @Option(.checkpointName) var checkpointName: Resolution.Argument?
  @Option(.autoInsertMetricName) var autoInsertMetricName: Resolution.Argument?
  @Option(.checkpointDirectory) var checkpointDirectory: Resolution.Argument?
  @Flag(
    name: .customLong("no-checkpoints"),
    help: "Write no checkpoints to disk, except on request: a power loss then costs the whole run.")
  var noCheckpoints = false
  @Option(.adopt) var adopt: Resolution.Argument?
  @Option(.adoptMarker) var adoptMarker: Resolution.Argument?
  @Option(.remote) var remote: Resolution.Argument?
  @Option(.remoteInterval) var remoteEvery: Resolution.Argument?
  @Option(.remoteKeepLast) var remoteKeepLast: Resolution.Argument?
  @Option(.remoteBandwidth) var remoteBandwidth: Resolution.Argument?
  @Option(.remoteHeartbeat) var remoteHeartbeat: Resolution.Argument?
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
      + (weightsOnly ? [Resolution.Argument(on: .weightsOnly)] : [])
      + (saveLast ? [Resolution.Argument(on: .saveLast)] : [])
      + (noCheckpoints ? [Resolution.Argument(off: .checkpointsEnabled)] : [])
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
