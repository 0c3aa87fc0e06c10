import JobFile
import Reporting
import SystemPackage

/// Output of `config show`: the settings of a job, including defaults that depend on the environment.
struct ShownSettings {
  struct Row {
    var setting: Setting
    var value: Node?
    var origin: Resolution.Origin
  }

  let job: ResolvedJob
  let rows: [Row]

  init(_ job: ResolvedJob, _ locations: Locations) {
    self.job = job
    rows = Setting.all.map { setting in
      let value = setting.value(job.settings)
      let row = Row(setting: setting, value: value, origin: job.resolution.origin(of: setting))
      return Self.derived(row, job, locations)
    }
  }

  /// Defaults of names and directories are derived from other settings and the environment.
  private static func derived(_ row: Row, _ job: ResolvedJob, _ locations: Locations) -> Row {
    var row = row
    switch row.setting.name {
    case Setting.jobName.name: row.value = .string(job.name)
    case Setting.stateDirectory.name:
      row.value = .string(job.state.string)
      if row.origin == .initial { row.origin = variable(["STATE_DIRECTORY", "XDG_STATE_HOME"], locations) }
    case Setting.runDirectory.name:
      row.value = .string(job.run.string)
      if row.origin == .initial {
        row.origin = variable(["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"], locations)
      }
    case Setting.workingDirectory.name: row.value = row.value ?? .string(locations.workingDirectory)
    default: break
    }
    return row
  }

  private static func variable(_ names: [String], _ locations: Locations) -> Resolution.Origin {
    let used = names.first { name in
      let value = locations.environment[name] ?? ""
      return name.hasPrefix("XDG_") ? value.hasPrefix("/") : !value.isEmpty
    }
    return used.map { .environment($0) } ?? .initial
  }

  func table(withOrigins: Bool) -> [String] {
    let header = ["KEY", "VALUE"] + (withOrigins ? ["FROM"] : [])
    let lines = rows.map { row in
      [row.setting.name, row.value?.toml ?? "-"] + (withOrigins ? [row.origin.words(row.setting)] : [])
    }
    return TextTable.lines([header] + lines)
  }

  var json: JSONValue {
    .object([
      "format_version": .integer(1), "job": .string(job.name),
      "file": .optional(job.file?.path.string),
      "settings": .array(
        rows.map { row in
          var members: [String: JSONValue] = [
            "key": .string(row.setting.name), "value": row.value?.json ?? .null,
            "origin": .string(row.origin.name), "path": .null, "line": .null, "variable": .null,
          ]
          if case .file(let path, let line) = row.origin {
            members["path"] = .string(path)
            members["line"] = .integer(Int64(line))
          }
          if case .environment(let name) = row.origin { members["variable"] = .string(name) }
          return .object(members)
        }),
    ])
  }
}

extension Resolution.Origin {
  fileprivate var name: String {
    switch self {
    case .commandLine: "command_line"
    case .file: "file"
    case .environment: "environment"
    case .initial: "default"
    }
  }

  fileprivate func words(_ setting: Setting) -> String {
    switch self {
    case .commandLine: setting.option.map { "command line, --\($0)" } ?? "command line"
    case .file(let path, let line): "\(path):\(line)"
    case .environment(let name): "environment, \(name)"
    case .initial: "default"
    }
  }
}

extension Node {
  var json: JSONValue {
    switch self {
    case .string(let text): .string(text)
    case .integer(let number): .integer(Int64(number))
    case .real(let number): .real(number)
    case .boolean(let value): .bool(value)
    case .date: .null
    case .array(let nodes): .array(nodes.map(\.json))
    case .table(let entries): .object(entries.mapValues(\.json))
    }
  }
}

extension Setting {
  var json: JSONValue {
    .object([
      "key": .string(name), "section": .optional(section), "name": .string(key),
      "option": .optional(option.map { "--\($0)" }), "type": .string(placeholder),
      "default": initial?.json ?? .null, "unset": .string(unset), "reload": .string(change.rawValue),
      "summary": .string(summary),
    ])
  }
}
