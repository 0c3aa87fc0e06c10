import ArgumentParser
import JobFile
import Reporting
import SystemPackage

struct ConfigCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a configuration file without starting anything.",
    discussion: """
      Exit status: 0 if the file is valid, 78 if it is invalid (each error is shown with its line and column), 66 \
      if it does not exist.

        holdfast config check /etc/holdfast/resnet50.toml
        holdfast config check resnet50
      """)

  @Argument(help: "Path of the file, or name of a job that has one.") var file: String
  @OptionGroup var format: JSONOption

  func run() throws {
    let path = try Locations.current.configuration(file)
    let file = try JobFile.read(path, needsCommand: true)
    let job = ResolvedJob(file, Resolution(file: file, arguments: []), .current)
    try job.checkPolicies()
    _ = try job.adoption()
    Output.standardError(job.ignoredSettings)
    let document = JSONValue.object([
      "format_version": .integer(1), "file": .string(path.string), "job": .string(job.name),
      "problems": .array([]),
    ])
    if format.json { return Output.standard.json(document) }
    Output.standard.line("\(path): valid (job '\(job.name)')")
  }
}
