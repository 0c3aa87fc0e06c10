import Glibc
import POSIX
import Reporting
import SystemPackage

/// One run of a program whose input is written and whose output is read here. The program and what it starts have
/// ended when this returns.
///
/// Children die with the thread that starts them, which is the calling one: it waits for the end, or ends together with
/// this process.
struct ProgramRun {
  var arguments: [String]
  var environment: [String]
  /// Fills a buffer with standard input and returns how much it wrote; 0 at the end. Nil: there is none.
  var input: ((UnsafeMutableRawBufferPointer) throws(StorageError) -> Int)?
  var output: (UnsafeRawBufferPointer) throws(StorageError) -> Void = { _ in }
  var isCancelled: () -> Bool
  /// The longest time without input or output; nil: infinite.
  var longestSilence: Duration?

  struct Ending {
    var status: ChildProcess.Status
    /// The end of its standard error.
    var errors: [UInt8]
  }

  /// Of standard error.
  private static let retainedBytes = 64 << 10
  private static let chunkBytes = 256 << 10
  private static let pollMilliseconds: CInt = 50
  /// Time to clean up after SIGTERM.
  private static let grace: CInt = 500

  /// - Throws: `program` if it cannot be run; `unreachable` after too long a silence; `cancelled`; errors of `input` and
  ///   `output`.
  func run() throws(StorageError) -> Ending {
    let running = try start()
    do throws(StorageError) {
      try transfer(running)
    } catch {
      Self.kill(running.child)
      throw error
    }
    guard let status = Self.reap(running.child) else {
      throw StorageError(.program, "the exit status of \(arguments[0]) is not available")
    }
    return Ending(status: status, errors: running.errors)
  }

  /// A started program with this process's ends of its streams.
  private final class Running {
    let child: ChildProcess
    var input: OpenFile?
    var output: OpenFile?
    var error: OpenFile?
    var errors: [UInt8] = []

    init(_ child: ChildProcess, input: OpenFile?, output: OpenFile, error: OpenFile) {
      self.child = child
      self.input = input
      self.output = output
      self.error = error
    }
  }

  // MARK: Starting and ending

  private func start() throws(StorageError) -> Running {
    let name = arguments[0]
    let path: FilePath
    do throws(Executable.Failure) {
      path = try Executable.find(name, environment: environment)
    } catch {
      let why =
        switch error {
        case .notFound: "not found"
        case .notExecutable(_, let code): "\(code)"
        }
      throw StorageError(.program, "cannot run \(name)", why: why, hint: Executable.hint(error, name))
    }
    do throws(POSIXError) {
      // A socket, not a pipe: writing to a pipe that the program closed raises SIGPIPE, which a process that uses
      // this as a library may not ignore.
      let sockets = input == nil ? nil : try Self.socketPair()
      let output = try PipeEnds()
      let error = try PipeEnds()
      for end in [output.reading, error.reading] {
        try posix("fcntl") { fcntl(end.descriptor, F_SETFL, O_NONBLOCK) }
      }
      let child = try ChildProcess(
        .init(
          path: path, arguments: arguments, environment: environment, output: output.writing,
          input: sockets?.theirs, error: error.writing))
      return Running(child, input: sockets?.ours, output: output.reading, error: error.reading)
    } catch {
      let why = error.operation == "execve" ? Executable.missingInterpreter(of: path) : nil
      throw StorageError(.program, "cannot run \(path)", why: why ?? "\(error)")
    }
  }

  private static func socketPair() throws(POSIXError) -> (ours: OpenFile, theirs: OpenFile) {
    var ends: [CInt] = [-1, -1]
    try posix("socketpair") {
      socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
    }
    return (OpenFile(adopting: ends[0], path: "socket"), OpenFile(adopting: ends[1], path: "socket"))
  }

  private static func kill(_ child: ChildProcess) {
    child.signalGroup(SIGTERM)
    var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    _ = poll(&polled, 1, grace)
    child.signalGroup(SIGKILL)
    _ = reap(child)
  }

  private static func reap(_ child: ChildProcess) -> ChildProcess.Status? {
    var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    // Exiting takes a moment, and a tracer is told first. Nothing more can be done if it is stuck in the kernel.
    for _ in 0..<500 {
      _ = poll(&polled, 1, 10)
      do throws(POSIXError) {
        if let status = try child.reap() { return status }
      } catch {
        return nil
      }
      if polled.revents != 0 { usleep(10_000) }
    }
    return nil
  }

  // MARK: Streams

  /// Returns when the program has exited and its output was read.
  private func transfer(_ running: Running) throws(StorageError) {
    let inputBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunkBytes, alignment: 4096)
    let outputBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunkBytes, alignment: 4096)
    defer {
      inputBuffer.deallocate()
      outputBuffer.deallocate()
    }
    var pending = UnsafeMutableRawBufferPointer(rebasing: inputBuffer[..<0])
    var last = Clock.monotonicNanoseconds
    while true {
      if isCancelled() { throw .cancelled }
      var polled = [
        pollfd(fd: running.input?.descriptor ?? -1, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: running.output?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: running.error?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: running.child.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      poll(&polled, 4, Self.pollMilliseconds)
      var hasMoved = false
      if polled[0].revents != 0, try feed(running, inputBuffer, &pending) { hasMoved = true }
      if polled[1].revents != 0, try drain(&running.output, outputBuffer, output) { hasMoved = true }
      if polled[2].revents != 0 { try readErrors(running, outputBuffer) }
      if polled[3].revents != 0 {
        // A process that it left may have the other ends open, so only what was written so far is read.
        running.child.signalGroup(SIGKILL)
        while try drain(&running.output, outputBuffer, output) { if isCancelled() { throw .cancelled } }
        try readErrors(running, outputBuffer)
        return
      }
      let now = Clock.monotonicNanoseconds
      if hasMoved { last = now }
      if let longestSilence, .nanoseconds(now - last) > longestSilence {
        throw StorageError(
          .unreachable, "no progress for \(Words.duration(longestSilence))",
          why: "\(arguments[0]) transferred nothing and was ended", errno: .timedOut)
      }
    }
  }

  /// - Returns: whether bytes were written.
  private func feed(
    _ running: Running, _ buffer: UnsafeMutableRawBufferPointer,
    _ pending: inout UnsafeMutableRawBufferPointer
  ) throws(StorageError) -> Bool {
    guard let input, let socket = running.input else { return false }
    if pending.isEmpty {
      let count = try input(buffer)
      guard count > 0 else {
        running.input = nil
        return true
      }
      pending = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    }
    let count = send(
      socket.descriptor, pending.baseAddress, pending.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
    guard count >= 0 else {
      // It closed its input; its exit status says why.
      if errno != EAGAIN, errno != EINTR { running.input = nil }
      return false
    }
    pending = UnsafeMutableRawBufferPointer(rebasing: pending.dropFirst(count))
    return true
  }

  /// - Returns: whether bytes were read.
  private func drain(
    _ stream: inout OpenFile?, _ buffer: UnsafeMutableRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) throws(StorageError) -> Void
  ) throws(StorageError) -> Bool {
    guard let file = stream else { return false }
    let count = read(file.descriptor, buffer.baseAddress, buffer.count)
    if count > 0 {
      try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      return true
    }
    if count == 0 || errno != EAGAIN && errno != EINTR { stream = nil }
    return false
  }

  private func readErrors(
    _ running: Running, _ buffer: UnsafeMutableRawBufferPointer
  ) throws(StorageError) {
    while try drain(
      &running.error, buffer,
      { bytes throws(StorageError) in
        running.errors.append(contentsOf: bytes)
        running.errors.removeFirst(max(0, running.errors.count - Self.retainedBytes))
      })
    {}
  }
}
