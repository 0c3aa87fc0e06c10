import CSpawn
import Glibc
public import SystemPackage

/// A child that we started, held by its pidfd so that its number can never mean another process.
public final class ChildProcess {
  public enum Status: Hashable, Sendable {
    case exited(Int32)
    case signaled(Int32)
  }

  /// What the kernel counted for it, once it was reaped.
  public struct Usage: Hashable, Sendable {
    public var peakResidentBytes: Int
    public var userTime: Duration
    public var systemTime: Duration
  }

  public struct Program {
    /// Path of the executable; no search is made.
    public var path: FilePath
    /// `argv`, the name of the program first.
    public var arguments: [String]
    /// `NAME=value`.
    public var environment: [String]
    /// `cgroup.procs` of a cgroup to join.
    public var cgroup: OpenFile?
    /// Becomes its standard output, and then it has no standard input; nil: it has ours.
    public var output: OpenFile?

    public init(
      path: FilePath, arguments: [String], environment: [String], cgroup: OpenFile? = nil,
      output: OpenFile? = nil
    ) {
      self.path = path
      self.arguments = arguments
      self.environment = environment
      self.cgroup = cgroup
      self.output = output
    }
  }

  public let pid: pid_t
  /// Readable (as poll(2) says) when the child has exited.
  public let descriptor: CInt
  public private(set) var usage: Usage?

  /// Starts `program` as `hf_spawn` describes. Call it only from a thread that lives as long as the
  /// process: the child is killed when that thread ends.
  /// - Throws: `POSIXError` whose operation is `execve` when the program itself cannot be run.
  public init(_ program: Program) throws(POSIXError) {
    var pidfd: CInt = -1
    var stage: CInt = 0
    let pid = withCStrings(program.arguments) { arguments in
      withCStrings(program.environment) { environment in
        program.path.withPlatformString { path in
          var request = hf_spawn_request(
            path: path, arguments: arguments, environment: environment, directory: nil,
            cgroup_procs: program.cgroup?.descriptor ?? -1, output: program.output?.descriptor ?? -1)
          return hf_spawn(&request, &pidfd, &stage)
        }
      }
    }
    guard pid > 0 else {
      throw POSIXError(Self.operation(stage), path: program.path, errno: Errno(rawValue: -pid))
    }
    self.pid = pid
    descriptor = pidfd
  }

  deinit { close(descriptor) }

  private static func operation(_ stage: CInt) -> String {
    switch UInt32(bitPattern: stage) {
    case HF_SPAWN_PIPE.rawValue: "pipe2"
    case HF_SPAWN_FORK.rawValue: "clone"
    case HF_SPAWN_SESSION.rawValue: "setsid"
    case HF_SPAWN_PARENT_DEATH_SIGNAL.rawValue: "prctl"
    case HF_SPAWN_CGROUP.rawValue: "join cgroup"
    case HF_SPAWN_DESCRIPTORS.rawValue: "close_range"
    case HF_SPAWN_DIRECTORY.rawValue: "chdir"
    default: "execve"
    }
  }

  /// Sends a signal to this process alone. One that has exited already is no error.
  public func signal(_ number: CInt) throws(POSIXError) {
    if hf_pidfd_send_signal(descriptor, number) == 0 { return }
    let code = Glibc.errno
    if code != ESRCH { throw POSIXError("pidfd_send_signal", errno: Errno(rawValue: code)) }
  }

  /// Sends a signal to all of its process group, which is its session's first.
  public func signalGroup(_ number: CInt) { kill(-pid, number) }

  /// Reaps it if it has exited.
  public func reap() throws(POSIXError) -> Status? {
    var status: CInt = 0
    var usage = rusage()
    let reaped = try posix("wait4") { wait4(pid, &status, WNOHANG, &usage) }
    guard reaped == pid else { return nil }
    self.usage = Usage(
      peakResidentBytes: usage.ru_maxrss * 1024,
      userTime: .init(usage.ru_utime), systemTime: .init(usage.ru_stime))
    // As in <bits/waitstatus.h>; the macros do not reach Swift.
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .signaled(signal)
  }
}

extension Duration {
  fileprivate init(_ time: timeval) {
    self = .seconds(time.tv_sec) + .microseconds(time.tv_usec)
  }
}

/// A NULL-terminated array of C strings, for as long as `body` runs.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = strings.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return body(&pointers)
}
