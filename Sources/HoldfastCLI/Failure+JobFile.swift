import JobFile
import POSIX
import Reporting

// Errors of configuration files.
extension Failure {
  init(_ error: JobFileError) {
    let status: ExitStatus = error.code == .missing ? .missing : .configuration
    let hints: [Hint] =
      switch error.code {
      case .missing: ["ls -l \(error.path)", "holdfast install-unit NAME -- COMMAND  create one"]
      case .unreadable: ["ls -ld \(error.path)  check its owner and mode"]
      case .wrong: ["nothing was started; check again: holdfast config check \(error.path)"]
      }
    self.init(status, error.what, path: error.path, why: error.why, hints: hints)
    problems = error.problems
  }

  /// Each problem with its place and the source line; at most 20.
  var problemLines: [String] {
    let shown = problems.prefix(20)
    var lines: [String] = []
    for problem in shown {
      lines.append("error: \(problem.what)")
      lines.append(" where: \(path ?? ""):\(problem.place.line):\(problem.place.column)")
      lines += problem.excerpt.map { "        \($0)" }
    }
    if problems.count > shown.count { lines.append("error: \(problems.count - shown.count) more errors") }
    return lines
  }
}

extension Problem {
  var json: JSONValue {
    .object([
      "error": .string(what), "line": .integer(Int64(place.line)), "column": .integer(Int64(place.column)),
      "length": .integer(Int64(place.length)),
    ])
  }
}
