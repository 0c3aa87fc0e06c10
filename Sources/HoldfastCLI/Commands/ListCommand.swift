import ArgumentParser
import Reporting
import SystemPackage

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show all jobs of this user and of this machine's units, one per line.",
    discussion: """
      Lists the jobs in the user's own state directory, those of the configuration files in /etc/holdfast and their \
      units, those of the user's enabled units, and running jobs whose state is anywhere else. Root also sees the \
      running jobs of other users.

        holdfast list
        holdfast list --json | jq -r '.jobs[] | select(.degraded != []) | .job'
      """)

  @OptionGroup var format: JSONOption

  func run() throws {
    let jobs = KnownJobs(locations: .current).all.map { ListedJob($0) }
      .sorted { ($0.name, $0.place.state.string) < ($1.name, $1.place.state.string) }
    let output = Output.standard
    if format.json {
      return output.json(.object(["format_version": .integer(1), "jobs": .array(jobs.map(\.json))]))
    }
    guard !jobs.isEmpty else {
      return Output.standardError(["no jobs found; start one: holdfast run -- COMMAND"])
    }
    let header = ["JOB", "STATE", "STEP", "ATTEMPT", "LAST STEP", "UNIT OR DIRECTORY"]
    for line in TextTable.lines([header] + jobs.map(\.cells), right: [3]) { output.line(Line(line)) }
  }
}
