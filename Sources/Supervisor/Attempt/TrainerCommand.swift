import Glibc
import POSIX
import Supervision
import SystemPackage
import TrainerProtocol

/// The trainer's command and the environment of its process.
struct TrainerCommand {
  struct Failure: Error {
    var kind: StartFailure
    var why: String
  }

  let arguments: [String]
  /// The supervisor's environment.
  let inherited: [String]
  let runDirectory: FilePath
  let mark: JobMark
  /// With which the program resumes, if its own files are adopted.
  private let resume: AdoptedPath

  init(
    _ configuration: Configuration, _ directories: JobDirectory, _ mark: JobMark, _ resume: AdoptedPath
  ) {
    self.resume = resume
    arguments = configuration.command
    inherited = configuration.environment
    runDirectory = directories.run
    self.mark = mark
  }

  func find() throws(Failure) -> FilePath {
    let name = arguments[0]
    do {
      return try Executable.find(name, environment: inherited)
    } catch {
      switch error {
      case .notFound: throw Failure(kind: .notFound, why: "\(name): no such file")
      case .notExecutable(let path, let code): throw Failure(kind: .notExecutable, why: "\(path): \(code)")
      }
    }
  }

  /// - Parameter beforeExec: called with the pid before the program begins.
  func spawn(
    _ path: FilePath, attempt: UInt64, cgroup: Cgroup?,
    beforeExec: @escaping (pid_t) throws(POSIXError) -> Void
  ) throws(Failure) -> ChildProcess {
    if let failure = resume.failure { throw Failure(kind: .other(errno: EIO), why: failure) }
    // With SIGCHLD ignored it could not wait for its own children.
    let ignored = SignalDispositions.inherited & ~(1 << UInt64(SIGCHLD - 1))
    do {
      return try ChildProcess(
        .init(
          path: path, arguments: resume.expand(arguments), environment: environment(attempt),
          cgroup: try cgroup?.openProcs(), ignoredSignals: ignored), registered: beforeExec)
    } catch {
      throw Self.failure(error, path)
    }
  }

  private static func failure(_ error: POSIXError, _ path: FilePath) -> Failure {
    guard error.operation == "execve" else {
      return Failure(
        kind: error.errno.isNoRoom ? .noRoom : .other(errno: error.errno.rawValue), why: "\(error)")
    }
    switch error.errno {
    case .noSuchFileOrDirectory:
      return Failure(kind: .notFound, why: Executable.missingInterpreter(of: path) ?? "\(error)")
    case .execFormatError:
      // A shell would run such a file; execve(2) needs the line.
      let hint = Executable.isText(path) ? "; it is a text file without a '#!' line, such as '#!/bin/sh'" : ""
      return Failure(kind: .notExecutable, why: "\(error)\(hint)")
    case .permissionDenied, .notDirectory, .tooManySymbolicLinkLevels:
      return Failure(kind: .notExecutable, why: "\(error)")
    default: return Failure(kind: .other(errno: error.errno.rawValue), why: "\(error)")
    }
  }

  /// The supervisor's environment without systemd's variables for the supervisor, plus the run directory.
  private func environment(_ attempt: UInt64) -> [String] {
    inherited(without: ["NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "HOLDFAST_"]) + [
      "\(RunEnvironment.runDirectory)=\(runDirectory)", "\(RunEnvironment.attempt)=\(attempt)",
    ] + mark.environment
  }

  /// For helper programs of the supervisor. Contains the job's mark, by which the next supervisor finds leftover ones,
  /// and the endpoints that the user set.
  var helperEnvironment: [String] {
    inherited(without: ["NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"] + RunEnvironment.all.map { "\($0)=" })
      + mark.environment
  }

  private func inherited(without prefixes: [String]) -> [String] {
    inherited.filter { entry in !prefixes.contains { entry.hasPrefix($0) } }
  }
}
