import ArgumentParser
import Glibc
import JobFile
import POSIX
import Reporting

struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Supervise a training job: checkpoint it, restart it, resume it with the same bits.",
    discussion: """
      Put it in front of the training command:

        holdfast run -- digits-trainer --epochs 20

      The job is restarted after a crash, a kill, a preemption or a reboot, and continues in mid-epoch from \
      its newest consistent state. Inspect it while it runs or afterwards:

        holdfast list
        holdfast status digits-trainer
        holdfast history digits-trainer
      """,
    version: Version.text,
    subcommands: [
      RunCommand.self, ListCommand.self, StatusCommand.self, HistoryCommand.self, EventsCommand.self,
      SnapshotsCommand.self,
      CheckpointsCommand.self, StopCommand.self, CheckpointCommand.self, ConfigCommand.self,
      InstallUnitCommand.self,
    ])

  /// The parser suggests options but not subcommands.
  static func unknownCommand(_ arguments: [String]) -> Failure? {
    guard let word = arguments.first, !word.hasPrefix("-") else { return nil }
    let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
    if !names.contains(word) { return unknown(word, names, prefix: "holdfast") }
    let groups = configuration.subcommands.filter { !$0.configuration.subcommands.isEmpty }
    guard let group = groups.first(where: { $0.configuration.commandName == word }),
      let second = arguments.dropFirst().first, !second.hasPrefix("-")
    else { return nil }
    let inner = group.configuration.subcommands.compactMap { $0.configuration.commandName }
    return inner.contains(second) ? nil : unknown(second, inner, prefix: "holdfast \(word)")
  }

  private static func unknown(_ word: String, _ names: [String], prefix: String) -> Failure {
    let guess = Suggestions.nearest(to: word, among: names)
    let question = guess.map { "; did you mean '\($0)'?" } ?? ""
    let group = prefix == "holdfast" ? "" : prefix.dropFirst("holdfast ".count) + " "
    return Failure(
      .usage, "unknown command '\(group)\(word)'\(question)",
      hints: guess.map { ["\(words: prefix) \($0) --help"] } ?? ["holdfast --help  list of commands"])
  }
}
