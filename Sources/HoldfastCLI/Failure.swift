import Checkpoints
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervisor
import SystemPackage

/// An error as printed for the user: what happened, where, why, and what to do.
struct Failure: Error, CustomStringConvertible {
  var status: ExitStatus
  var what: String
  var path: String?
  var why: String?
  var kept: String?
  /// Errors in a file, each with its place; printed instead of `what` and `path`.
  var problems: [Problem] = []
  /// Commands or actions, each with its purpose after two spaces.
  var hints: [Hint]

  init(
    _ status: ExitStatus, _ what: String, path: String? = nil, why: String? = nil, kept: String? = nil,
    hints: [Hint]
  ) {
    self.status = status
    self.what = what
    self.path = path
    self.why = why
    self.kept = kept
    self.hints = hints
  }

  var description: String { what }

  /// Fields of several lines are indented below their label.
  var lines: [String] {
    var lines =
      problems.isEmpty ? VisibleText.indented(what, by: "error: ", further: "       ") : problemLines
    func field(_ name: String, _ text: String) {
      let word = String(repeating: " ", count: max(0, 6 - name.count)) + name + ": "
      lines += VisibleText.indented(text, by: word, further: "        ")
    }
    if let path, problems.isEmpty { field("where", path) }
    if let why { field("why", why) }
    if let kept { field("kept", kept) }
    for (index, hint) in hints.enumerated() {
      lines += VisibleText.indented(hint.text, by: index == 0 ? "  hint: " : "        ", further: "        ")
    }
    return lines + ["(exit \(status.rawValue))"]
  }

  func json() -> JSONValue {
    .object([
      "format_version": .integer(1), "error": .string(problems.first?.what ?? what),
      "where": path.map(JSONValue.string) ?? .null, "why": why.map(JSONValue.string) ?? .null,
      "kept": kept.map(JSONValue.string) ?? .null, "hints": .array(hints.map { .string($0.text) }),
      "exit_code": .integer(Int64(status.rawValue)), "problems": .array(problems.map(\.json)),
    ])
  }

  /// Converts any error that a command can throw.
  init(_ error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as SupervisorError: self.init(ExitStatus(error.code), error)
    case let error as StoreError: self.init(ExitStatus(error.code), error)
    case let error as JobFileError: self.init(error)
    case let error as CheckpointError: self.init(ExitStatus(error.code), error)
    case let error as POSIXError:
      self.init(
        .io, "\(error.operation) failed", path: error.path?.string, why: "\(error.errno)",
        hints: [Self.hint(error)])
    default:
      self.init(.internal, "\(error)", hints: ["holdfast --version  please report this with the version"])
    }
  }

  private static func hint(_ error: POSIXError) -> Hint {
    let path = error.path?.string ?? "."
    switch error.errno {
    case .tooManyOpenFiles: return "ulimit -n  limit of open files; raise it"
    case .tooManyOpenFilesInSystem:
      return "sysctl fs.file-max  the machine's limit of open files"
    case .noMemory, .resourceTemporarilyUnavailable:
      return "ulimit -a  limits of memory and processes; free -m  free memory"
    case .permissionDenied, .notPermitted, .readOnlyFileSystem: return "ls -ld \(path)"
    default: return "df \(path)  check the free space"
    }
  }

  private init<Code>(_ status: ExitStatus, _ error: CodedError<Code>) {
    self.init(
      status, error.statement, path: error.path?.string, why: error.why,
      hints: error.hint?.lines ?? error.path.map { ["ls -ld \($0)"] } ?? [])
  }
}

extension ExitStatus {
  fileprivate init(_ code: SupervisorErrorCode) {
    self =
      switch code {
      case .alreadySupervised, .cannotCreate, .leftoverProcess: .cannotCreate
      case .newerFormat, .otherJob: .configuration
      case .damaged: .damaged
      case .commandNotFound: .notFound
      case .commandNotExecutable: .notExecutable
      case .io: .io
      case .internal: .internal
      }
  }

  fileprivate init(_ code: CheckpointErrorCode) {
    self =
      switch code {
      case .missing: .missing
      case .exists: .cannotCreate
      case .damaged: .damaged
      case .newerVersion: .configuration
      case .noRoom, .io, .unsupported, .cancelled: .io
      }
  }

  fileprivate init(_ code: StoreErrorCode) {
    self =
      switch code {
      case .missing: .missing
      case .damaged: .damaged
      case .newerVersion: .configuration
      case .noRoom, .io: .io
      }
  }
}
