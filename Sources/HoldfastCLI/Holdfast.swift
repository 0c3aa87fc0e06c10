import ArgumentParser
import Glibc
import JobFile
import POSIX
import Reporting

@main
struct Entry {
  /// Not the parser's `main`: its errors have no place and no hints.
  static func main() {
    StandardStreams.fillClosed()
    let arguments = Array(CommandLine.arguments.dropFirst())
    let wantsJSON = arguments.prefix { $0 != "--" }.contains("--json")
    do {
      if let failure = HoldfastCommand.unknownCommand(arguments) { throw failure }
      var command = try HoldfastCommand.parseAsRoot(arguments)
      try command.run()
    } catch let exit as ExitCode {
      Glibc.exit(exit.rawValue)
    } catch {
      end(error, wantsJSON: wantsJSON)
    }
  }

  private static func end(_ error: any Error, wantsJSON: Bool) -> Never {
    let code = HoldfastCommand.exitCode(for: error)
    if code == .success {
      // The parser throws --help, --version and completion scripts.
      print(HoldfastCommand.fullMessage(for: error))
      exit(0)
    }
    let isUsage = code == .validationFailure
    let failure = isUsage ? usage(error, CommandLine.arguments.dropFirst().first ?? "") : Failure(error)
    if wantsJSON { Output.standardError(failure.json()) } else { Output.standardError(failure.lines) }
    exit(failure.status.rawValue)
  }

  /// - Parameter word: the first argument.
  private static func usage(_ error: any Error, _ word: String) -> Failure {
    let message = HoldfastCommand.message(for: error)
    let known = HoldfastCommand.configuration.subcommands.contains { $0.configuration.commandName == word }
    let hints: [Hint] =
      known
      ? ["holdfast \(word) --help"]
      : ["holdfast --help  list of commands", "holdfast help COMMAND  help for one command"]
    return Failure(.usage, message, hints: hints)
  }
}

struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Supervise a training job: checkpoint it, restart it, resume it with the same bits.",
    discussion: """
      Put it in front of the training command:

        holdfast run -- digits-trainer --epochs 20

      The job is restarted after a crash, a kill, a preemption or a reboot, and continues in mid-epoch from \
      its newest consistent state. Inspect it while it runs or afterwards:

        holdfast status digits-trainer
        holdfast history digits-trainer
      """,
    version: Version.text,
    subcommands: [
      RunCommand.self, StatusCommand.self, HistoryCommand.self, EventsCommand.self, SnapshotsCommand.self,
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

enum Version {
  static let text = "0.1.0"
}
