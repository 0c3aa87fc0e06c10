import Glibc
import JobFile
import JobStore
import POSIX
import Supervisor
import SystemPackage

/// An error as the user sees it: what happened, where, why, and what to type.
struct Failure: Error, CustomStringConvertible {
  var status: ExitStatus
  var what: String
  var path: String?
  var why: String?
  var kept: String?
  /// What is wrong in a file, each with its place; these are told instead of `what` and `path`.
  var problems: [Problem] = []
  /// Each a command or an action, with what it is for after two spaces.
  var hints: [String]

  init(
    _ status: ExitStatus, _ what: String, path: String? = nil, why: String? = nil, kept: String? = nil,
    hints: [String]
  ) {
    self.status = status
    self.what = what
    self.path = path
    self.why = why
    self.kept = kept
    self.hints = hints
  }

  var description: String { what }

  func text() -> String {
    var lines = problems.isEmpty ? ["error: \(what)"] : problemLines
    if let path, problems.isEmpty { lines.append(" where: \(path)") }
    if let why { lines.append("   why: \(why)") }
    if let kept { lines.append("  kept: \(kept)") }
    for (index, hint) in hints.enumerated() { lines.append((index == 0 ? "  hint: " : "        ") + hint) }
    lines.append("(exit \(status.rawValue))")
    return lines.map { $0 + "\n" }.joined()
  }

  func json() -> JSONValue {
    .object([
      "format_version": .integer(1), "error": .string(problems.first?.what ?? what),
      "where": path.map(JSONValue.string) ?? .null, "why": why.map(JSONValue.string) ?? .null,
      "kept": kept.map(JSONValue.string) ?? .null, "hints": .array(hints.map(JSONValue.string)),
      "exit_code": .integer(Int64(status.rawValue)), "problems": .array(problems.map(\.json)),
    ])
  }

  /// Any error that a command can end with.
  init(_ error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as SupervisorError: self.init(error)
    case let error as StoreError: self.init(error)
    case let error as JobFileError: self.init(error)
    case let error as POSIXError:
      self.init(
        .io, "\(error.operation) failed", path: error.path?.string, why: "\(error.errno)",
        hints: ["df \(error.path?.string ?? ".")  is there room?"])
    default:
      self.init(.internal, "\(error)", hints: ["holdfast --version  please report this with the version"])
    }
  }

  private init(_ error: SupervisorError) {
    let status: ExitStatus =
      switch error.code {
      case .alreadySupervised, .cannotCreate, .leftoverProcess: .cannotCreate
      case .newerFormat, .otherJob: .configuration
      case .damaged: .damaged
      case .commandNotFound: .notFound
      case .commandNotExecutable: .notExecutable
      case .io: .io
      case .internal: .internal
      }
    self.init(
      status, error.what, path: error.path?.string, why: error.why,
      hints: error.hint.split(separator: "\n").map(String.init))
  }

  private init(_ error: StoreError) {
    let status: ExitStatus =
      switch error.code {
      case .missing: .missing
      case .damaged: .damaged
      case .newerVersion: .configuration
      case .noRoom, .io: .io
      }
    let what =
      switch error.code {
      case .missing: "there is no job here"
      case .damaged: "the job's store cannot be opened"
      case .newerVersion: "the job's store was written by a newer holdfast"
      case .noRoom: "no room for the job's store"
      case .io: "the job's store cannot be read"
      }
    self.init(status, what, path: error.path.string, why: error.reason, hints: [error.hint])
  }
}
