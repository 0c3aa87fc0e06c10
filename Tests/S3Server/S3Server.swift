public import Glibc
import POSIX
import Synchronization
import SystemPackage

/// A real S3 server on loopback (`s3_server.py`). It ends with this process at the latest.
///
/// It needs the Python interpreter `$HOLDFAST_TEST_PYTHON`, with the package `moto[server]`.
public final class S3Server: Sendable {
  /// A request that the server received.
  public struct Request: Hashable, Sendable {
    public var method: String
    public var key: String
    /// Of the body, so far.
    public var bytes: Int
  }

  public enum Fault: String, Sendable {
    case none = "normal"
    /// Accepts bodies of objects and stores zeros instead.
    case lose
    /// Accepts objects and stores nothing.
    case forget
    /// Lists objects and does not find them.
    case phantom
    /// Lists objects of a state and does not find them.
    case hollow
    /// Accepts removals and removes nothing.
    case keep
    /// Returns objects of a state with a changed byte.
    case corrupt
    /// Rejects all credentials.
    case deny
    /// Reads bodies slowly.
    case slow
  }

  public let port: Int
  public let pid: pid_t
  private let input: OpenFile
  private let output: OpenFile
  private let conversation = Mutex<Void>(())
  private let end: Gate

  public init() throws {
    let end = Gate()
    self.end = end
    (pid, input, output) = try Self.start(until: end)
    guard let port = Int(Self.line(output)) else {
      end.open()
      throw Errno.connectionRefused
    }
    self.port = port
  }

  /// Its other ends of the pipes are closed here, so that its end is seen.
  private static func start(until end: Gate) throws -> (pid: pid_t, input: OpenFile, output: OpenFile) {
    let python = getenv("HOLDFAST_TEST_PYTHON").map { String(cString: $0) } ?? "python3"
    let script = FilePath(#filePath).removingLastComponent().appending("s3_server.py")
    let path = try Executable.find(python, searchPath: "/usr/bin:/bin")
    let (commands, answers) = (try PipeEnds(), try PipeEnds())
    let ends = Mutex<(reading: OpenFile, writing: OpenFile)?>((commands.reading, answers.writing))
    let spawn: @Sendable () throws(POSIXError) -> ChildProcess = { () throws(POSIXError) in
      let passed = ends.withLock { ends in
        defer { ends = nil }
        return ends
      }
      return try ChildProcess(
        .init(
          path: path, arguments: [python, script.string],
          environment: ["PATH=/usr/bin:/bin", "HOME=/dev/null", "RCLONE_CONFIG=/dev/null"],
          output: passed?.writing, input: passed?.reading))
    }
    let started = Gate()
    let result = Mutex<Result<pid_t, POSIXError>?>(nil)
    // A child dies with the thread that started it.
    try NativeThread.start {
      do throws(POSIXError) {
        let server = try spawn()
        result.withLock { $0 = .success(server.pid) }
        started.open()
        end.wait()
        kill(server.pid, SIGKILL)
        var polled = pollfd(fd: server.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, 10_000)
        _ = try server.reap()
      } catch {
        result.withLock { $0 = $0 ?? .failure(error) }
        started.open()
      }
    }
    started.wait()
    guard let pid = try result.withLock({ $0 })?.get() else { throw Errno.noChildProcess }
    return (pid, commands.writing, answers.reading)
  }

  deinit { end.open() }

  /// Ends it. Connections are refused then.
  public func stop() {
    end.open()
    while kill(pid, 0) == 0 { usleep(10_000) }
  }

  /// It accepts connections and does not answer until `resume`.
  public func suspend() { kill(pid, SIGSTOP) }
  public func resume() { kill(pid, SIGCONT) }

  public func set(_ fault: Fault, bucket: String) { _ = ask("mode \(bucket) \(fault.rawValue)") }

  public func requests(bucket: String) -> [Request] {
    // [["PUT", "key", 5], …]; keys of the tests have no special characters.
    ask("log \(bucket)").split(separator: "[").compactMap { entry in
      let fields = entry.split { "\", ]".contains($0) }
      guard let bytes = fields.last.flatMap({ Int($0) }), fields.count >= 2 else { return nil }
      return Request(
        method: String(fields[0]), key: fields.count > 2 ? String(fields[1]) : "", bytes: bytes)
    }
  }

  /// Variables that configure the remote `NAME:` of rclone.
  public func environment(remote name: String, key: String = "testing-key", secret: String = "testing-secret")
    -> [String]
  {
    let prefix = "RCLONE_CONFIG_\(name.uppercased())_"
    return [
      prefix + "TYPE=s3", prefix + "PROVIDER=Other", prefix + "ENDPOINT=http://127.0.0.1:\(port)",
      prefix + "REGION=us-east-1", prefix + "ACCESS_KEY_ID=\(key)", prefix + "SECRET_ACCESS_KEY=\(secret)",
      "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/dev/null", "RCLONE_CONFIG=/dev/null",
    ]
  }

  private func ask(_ command: String) -> String {
    conversation.withLock { _ in
      try? input.write(all: Array((command + "\n").utf8))
      return Self.line(output)
    }
  }

  private static func line(_ file: OpenFile) -> String {
    var line: [UInt8] = []
    while let byte = try? file.read(atMost: 1).first, byte != UInt8(ascii: "\n") { line.append(byte) }
    return String(decoding: line, as: UTF8.self)
  }
}
