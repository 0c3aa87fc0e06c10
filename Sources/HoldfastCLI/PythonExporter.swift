import Glibc
import POSIX
import Reporting
import SystemPackage

/// Runs the Python client's exporter, in an interpreter that has it and torch.
struct PythonExporter {
  /// `--python`.
  private let named: String?
  private let interpreter: String
  /// Why the job's interpreter is not used.
  private let rejection: String?

  /// - Parameter recorded: the job's interpreter. Its trainer, which another user may have started, has written this
  ///   path: only a program that this user or root could have put there is run.
  init(named: String?, recorded: String?) {
    self.named = named
    let recorded = recorded.flatMap { FilePath($0).isAbsolute && FileSystem.exists(FilePath($0)) ? $0 : nil }
    var rejection: String?
    if named == nil, let recorded {
      do {
        try PathTrust.check(FilePath(recorded))
      } catch {
        rejection = "the job's Python '\(recorded)' is not used: \(error.path): \(error.why)"
      }
    }
    self.rejection = rejection
    interpreter = named ?? (rejection == nil ? recorded : nil) ?? "python3"
  }

  /// Modules of the working directory must not replace those of Python.
  private static let program = """
    import json, sys
    sys.path = [path for path in sys.path if path]
    try:
        from holdfast._export import main
    except ImportError as error:
        print(json.dumps({"missing": "holdfast", "why": str(error)}))
    else:
        sys.exit(main(sys.argv[1:]))
    """

  /// - Returns: the members of its JSON document.
  func run(_ arguments: [String]) throws -> [String: JSONValue] {
    let (status, output) = HelperProgram.output(of: [interpreter, "-c", Self.program] + arguments)
    if status == 127 { throw failure("'\(interpreter)' cannot be run") }
    let line = output.split(separator: UInt8(ascii: "\n")).last ?? []
    guard let result = Array(line).withUnsafeBytes({ try? JSONValue($0) })?.object else {
      throw Failure(
        .internal, "the exporter failed with status \(status)", path: interpreter,
        hints: [
          "\(interpreter) -m holdfast._export \(words: arguments.map(Hint.quoted).joined(separator: " "))"
        ])
    }
    if let missing = result["missing"]?.string {
      throw failure("'\(interpreter)' has no \(missing)", why: result["why"]?.string)
    }
    return result
  }

  private func failure(_ what: String, why: String? = nil) -> Failure {
    Failure(
      .gaveUp, what, why: rejection ?? why,
      hints: [
        named == nil
          ? "name the job's Python: --python PROGRAM"
          : "\(interpreter) -c 'import holdfast, torch'  it needs both packages",
        "holdfast checkpoints export --help  safetensors needs no Python",
      ])
  }
}
