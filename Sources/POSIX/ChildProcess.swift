import CSpawn
import Glibc
import Synchronization
public import SystemPackage

/// A child of this process, identified by its pidfd, as its pid may be reused.
public final class ChildProcess {
  public enum Status: Hashable, Sendable {
    case exited(Int32)
    case signaled(Int32)
  }

  /// Resource usage from the kernel, after it was reaped.
  public struct Usage: Hashable, Sendable {
    public var peakResidentBytes: Int
    public var userTime: Duration
    public var systemTime: Duration
  }

  public struct Program {
    /// Path of the executable; `PATH` is not searched.
    public var path: FilePath
    /// `argv`, including the program's name.
    public var arguments: [String]
    /// `NAME=value`.
    public var environment: [String]
    /// `cgroup.procs` of the cgroup to join.
    public var cgroup: OpenFile?
    /// Standard output of a helper program. nil: it is the trainer, and inherits all three streams.
    public var output: OpenFile?
    /// Standard input of a helper program; nil: `/dev/null`.
    public var input: OpenFile?
    /// Standard error of a helper program; nil: it is inherited.
    public var error: OpenFile?
    /// Signals that are ignored at its start; bit 0 is signal 1.
    public var ignoredSignals: UInt64

    public init(
      path: FilePath, arguments: [String], environment: [String], cgroup: OpenFile? = nil,
      output: OpenFile? = nil, input: OpenFile? = nil, error: OpenFile? = nil, ignoredSignals: UInt64 = 0
    ) {
      self.path = path
      self.arguments = arguments
      self.environment = environment
      self.cgroup = cgroup
      self.output = output
      self.input = input
      self.error = error
      self.ignoredSignals = ignoredSignals
    }
  }

  /// Children that are not for `reapOrphans`, from before they can end until they are reaped, and whether each is a
  /// helper program.
  private static let awaited = Mutex<[pid_t: Bool]>([:])

  /// Sessions of the running helper programs of this process: they do not belong to the trainer.
  public static var helperSessions: Set<pid_t> { awaited.withLock { Set($0.filter(\.value).keys) } }

  public let pid: pid_t
  /// Readable for poll(2) when the child has exited.
  public let descriptor: CInt
  public private(set) var usage: Usage?

  /// Starts `program` as described at `hf_spawn`. The child is killed when the calling thread ends.
  /// - Parameter registered: called with the pid before exec; if it throws, the program is not executed.
  /// - Throws: `POSIXError` with the operation `execve` when the program cannot be executed.
  public init(
    _ program: Program, registered: ((pid_t) throws(POSIXError) -> Void)? = nil
  ) throws(POSIXError) {
    let result = Self.awaited.withLock { awaited in
      let result = Self.spawn(program, registered)
      if result.pid > 0 { awaited[result.pid] = program.output != nil }
      return result
    }
    guard result.pid > 0 else {
      throw result.refusal
        ?? POSIXError(
          Self.operation(result.stage), path: program.path, errno: Errno(rawValue: -result.pid))
    }
    pid = result.pid
    descriptor = result.pidfd
  }

  deinit {
    close(descriptor)
    // If it was not reaped, `reapOrphans` may do so now.
    Self.awaited.withLock { $0[pid] = nil }
  }

  /// The `registered` callback and the error that it threw.
  private struct Registration {
    let registered: (pid_t) throws(POSIXError) -> Void
    var refusal: POSIXError?
  }

  private static func spawn(
    _ program: Program, _ registered: ((pid_t) throws(POSIXError) -> Void)?
  ) -> (pid: pid_t, pidfd: CInt, stage: CInt, refusal: POSIXError?) {
    var pidfd: CInt = -1
    var stage: CInt = 0
    var registration = Registration(registered: registered ?? { _ in })
    let pid = withUnsafeMutablePointer(to: &registration) { registration in
      spawn(program, &pidfd, &stage, registered == nil ? nil : registration)
    }
    return (pid, pidfd, stage, registration.refusal)
  }

  private static func spawn(
    _ program: Program, _ pidfd: inout CInt, _ stage: inout CInt,
    _ registration: UnsafeMutablePointer<Registration>?
  ) -> pid_t {
    withCStrings(program.arguments) { arguments in
      withCStrings(program.environment) { environment in
        program.path.withPlatformString { path in
          var request = hf_spawn_request(
            path: path, arguments: arguments, environment: environment, directory: nil,
            cgroup_procs: program.cgroup?.descriptor ?? -1, output: program.output?.descriptor ?? -1,
            input: program.input?.descriptor ?? -1, error: program.error?.descriptor ?? -1,
            ignored: program.ignoredSignals, registered: nil, context: nil)
          if let registration {
            request.context = UnsafeMutableRawPointer(registration)
            request.registered = { pid, context in
              guard let registration = context?.assumingMemoryBound(to: Registration.self) else {
                return EINVAL
              }
              do throws(POSIXError) {
                try registration.pointee.registered(pid)
                return 0
              } catch {
                registration.pointee.refusal = error
                return error.errno.rawValue
              }
            }
          }
          return hf_spawn(&request, &pidfd, &stage)
        }
      }
    }
  }

  /// Whether this process has no children, running or zombie: wait(2).
  public static var hasNoChildren: Bool {
    var information = siginfo_t()
    return waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD
  }

  /// Reaps exited children that were not started by `init`: orphans of descendants
  /// (`ProcessTable.becomeSubreaper`) and children from before this program's exec.
  public static func reapOrphans() {
    // If a child is being started now, its end will call this again.
    awaited.withLockIfAvailable { awaited in
      while true {
        var information = siginfo_t()
        // WNOWAIT: the status of an awaited child must not be consumed here.
        guard waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0 else { return }
        let pid = hf_siginfo_pid(&information)
        guard pid > 0 else { return }
        guard awaited[pid] == nil else { break }
        waitpid(pid, nil, WNOHANG)
      }
      // waitid(2) returned an awaited child first; check the others one by one.
      for pid in ProcessTable.children() ?? [] where awaited[pid] == nil { waitpid(pid, nil, WNOHANG) }
    }
  }

  private static func operation(_ stage: CInt) -> String {
    switch UInt32(bitPattern: stage) {
    case HF_SPAWN_PIPE.rawValue: "pipe2"
    case HF_SPAWN_FORK.rawValue: "clone"
    case HF_SPAWN_SESSION.rawValue: "setsid"
    case HF_SPAWN_PARENT_DEATH_SIGNAL.rawValue: "prctl"
    case HF_SPAWN_CGROUP.rawValue: "join cgroup"
    case HF_SPAWN_DESCRIPTORS.rawValue: "close_range"
    case HF_SPAWN_DIRECTORY.rawValue: "chdir"
    case HF_SPAWN_REGISTER.rawValue: "register"
    default: "execve"
    }
  }

  /// Sends a signal to this process only. It is not an error if it has exited.
  public func signal(_ number: CInt) throws(POSIXError) {
    if hf_pidfd_send_signal(descriptor, number) == 0 { return }
    let code = Glibc.errno
    if code != ESRCH { throw POSIXError("pidfd_send_signal", errno: Errno(rawValue: code)) }
  }

  /// Sends a signal to its process group, the first of its session.
  public func signalGroup(_ number: CInt) { kill(-pid, number) }

  /// Reaps it if it has exited.
  public func reap() throws(POSIXError) -> Status? {
    var status: CInt = 0
    var usage = rusage()
    let reaped = try posix("wait4") { wait4(pid, &status, WNOHANG, &usage) }
    guard reaped == pid else { return nil }
    Self.awaited.withLock { $0[pid] = nil }
    self.usage = Usage(
      peakResidentBytes: usage.ru_maxrss * 1024,
      userTime: .init(usage.ru_utime), systemTime: .init(usage.ru_stime))
    // As in <bits/waitstatus.h>, whose macros are not available in Swift.
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .signaled(signal)
  }
}

extension Duration {
  fileprivate init(_ time: timeval) {
    self = .seconds(time.tv_sec) + .microseconds(time.tv_usec)
  }
}

/// Calls `body` with a NULL-terminated array of C strings.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = strings.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return body(&pointers)
}
