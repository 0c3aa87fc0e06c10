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
