import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage

/// Runs the user's notice program on its own thread and restarts it whenever it exits. The program dies with that
/// thread, and so with this process.
final class ProgramWatch: Sendable {
  private let command: [String]
  private let environment: [String]
  private let cancellation: WakeUp
  private let report: @Sendable (NoticeReport) -> Void
  /// Session and process group of the running program. Nil from when it is reaped, as the number may be reused.
  private let group: Mutex<pid_t?>
  private let name: String
  /// Minimum time between two lines.
  private static let shortestPause = Duration.milliseconds(100)

  init(
    _ command: [String], environment: [String], cancellation: WakeUp,
    report: @escaping @Sendable (NoticeReport) -> Void
  ) {
    self.command = command
    self.environment = environment
    self.cancellation = cancellation
    self.report = report
    group = Mutex(nil)
    name = FilePath(command[0]).lastComponent?.string ?? command[0]
  }

  /// Kills the program and its process group.
  func kill() { group.withLock { if let group = $0 { Glibc.kill(-group, SIGKILL) } } }

  /// Returns when it is cancelled.
  func run() {
    var reachability = Reachability(name: name, isNamed: true)
    while !cancellation.isSignalled(within: reachability.pause) {
      do {
        try runOnce { line throws(PreemptionError) in
          let notice = try NoticeLine.read(line, source: self.name)
          if let recovered = reachability.succeeded() { self.report(recovered) }
          if let notice { self.report(notice) }
        } failed: { error in
          if let failure = reachability.failed(error) { self.report(failure) }
        }
      } catch {
        if error.code == .cancelled { return }
        if let failure = reachability.failed(error) { report(failure) }
      }
    }
  }

  /// - Throws: always: the reason why it ended.
  private func runOnce(
    _ handle: (String) throws(PreemptionError) -> Void, failed: (PreemptionError) -> Void
  ) throws(PreemptionError) {
    let (child, output) = try start()
    defer { end(child) }
    var line: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: NoticeLine.longest)
    while try read(
      output, &chunk,
      { bytes in
        for byte in bytes {
          if byte == 0x0a {
            // An invalid line is reported and does not end the program.
            do throws(PreemptionError) { try handle(String(decoding: line, as: UTF8.self)) } catch {
              failed(error)
            }
            line = []
            // A faster program blocks on its pipe, so memory stays bounded.
            _ = cancellation.isSignalled(within: Self.shortestPause)
          } else if line.count < NoticeLine.longest {
            line.append(byte)
          }
        }
      })
    {}
    throw PreemptionError(
      .program, "\(name) exited", hint: "run it by hand: \(Hint(command: command))")
  }

  private func start() throws(PreemptionError) -> (ChildProcess, OpenFile) {
    do {
      let search = environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/bin:/bin"
      let path = try Executable.find(command[0], searchPath: String(search))
      let pipe = try PipeEnds()
      let child = try ChildProcess(
        .init(path: path, arguments: command, environment: environment, output: pipe.writing))
      group.withLock { $0 = child.pid }
      return (child, pipe.reading)
    } catch {
      let why =
        switch error as? Executable.Failure {
        case .notFound: "not found"
        case .notExecutable(_, let code): "\(code)"
        case nil: "\(error)"
        }
      throw PreemptionError(
        .program, "cannot run \(command[0])", why: why, hint: "command -v \(command[0])")
    }
  }

  /// - Returns: false at the end of the output.
  private func read(
    _ output: OpenFile, _ chunk: inout [UInt8], _ body: (ArraySlice<UInt8>) -> Void
  ) throws(PreemptionError) -> Bool {
    var polled = [
      pollfd(fd: output.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&polled, 2, -1) > 0 else { return true }
    if polled[1].revents != 0 { throw PreemptionError(.cancelled, "cancelled", hint: "nothing to do") }
    let count = Glibc.read(output.descriptor, &chunk, chunk.count)
    if count > 0 { body(chunk[..<count]) }
    return count > 0 || count < 0 && errno == EINTR
  }

  /// Kills the rest of its group and reaps it.
  private func end(_ child: ChildProcess) {
    group.withLock { group in
      child.signalGroup(SIGKILL)
      // Exiting takes a moment. Nothing more can be done if it is stuck in the kernel.
      var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&polled, 1, 5_000)
      // `ChildProcess.reapOrphans` may have reaped it already.
      _ = try? child.reap()
      group = nil
    }
  }
}
