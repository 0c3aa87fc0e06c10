import ArgumentParser
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage

/// `--state-dir` of every command.
struct StateOption: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: ArgumentHelp(
      "State directory of the job. Default: $STATE_DIRECTORY, or $XDG_STATE_HOME/holdfast/JOB, or "
        + "~/.local/state/holdfast/JOB.", valueName: "dir"))
  var stateDirectory: String?
}
