import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage

/// Runs a program of the user's whose lines are notices, again whenever it ends, on a thread of its
/// own: the program dies with that thread, and so with us.
final class ProgramWatch: Sendable {
  private let command: [String]
  private let environment: [String]
  private let cancellation: WakeUp
  private let report: @Sendable (NoticeReport) -> Void
  /// Session and process group of the program that runs now. Nil is kept from when it is reaped, so
  /// that the number cannot mean another's.
  private let group: Mutex<pid_t?>
  private let name: String
  /// Between two lines.
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

  /// The program's session, nil when there is none at this moment.
  var session: pid_t? { group.withLock { $0 } }

  /// Kills the program and what it started in its group.
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
          if let complaint = reachability.failed(error) { self.report(complaint) }
        }
      } catch {
        if error.code == .cancelled { return }
        if let complaint = reachability.failed(error) { report(complaint) }
      }
    }
  }

  /// - Throws: always: how it ended.
  private func runOnce(
    _ take: (String) throws(PreemptionError) -> Void, failed: (PreemptionError) -> Void
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
            // A mistake in one line is said, and does not end the program.
            do throws(PreemptionError) { try take(String(decoding: line, as: UTF8.self)) } catch {
              failed(error)
            }
            line = []
            // Whoever writes faster waits in its pipe: nobody here can be made to remember it all.
            _ = cancellation.isSignalled(within: Self.shortestPause)
          } else if line.count < NoticeLine.longest {
            line.append(byte)
          }
        }
      })
    {}
    throw PreemptionError(
      .program, "\(name) ended", hint: "run it by hand: \(Hint(command: command))")
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
        case .notFound: "no such program"
        case .notExecutable(_, let code): "\(code)"
        case nil: "\(error)"
        }
      throw PreemptionError(
        .program, "\(command[0]) cannot be run: \(why)", hint: Hint("command -v \(command[0])").text)
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

  /// Kills what is left of its group, and reaps it.
  private func end(_ child: ChildProcess) {
    group.withLock { group in
      child.signalGroup(SIGKILL)
      // Killed, it takes a moment; nothing else can be done with one that the kernel does not let go.
      var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&polled, 1, 5_000)
      // Whoever reaps all children of this process may have been faster.
      _ = try? child.reap()
      group = nil
    }
  }
}
