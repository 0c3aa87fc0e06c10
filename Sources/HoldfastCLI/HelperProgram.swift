import Glibc
import POSIX
import SystemPackage

/// A program that inherits the standard streams.
enum HelperProgram {
  /// Runs it and waits until it ends.
  /// - Returns: its exit status; 127 when it cannot be started, 128 and the signal when it was killed.
  static func run(_ command: [String]) -> Int32 {
    guard let pid = start(command, output: nil) else { return 127 }
    return wait(for: pid)
  }

  /// Runs it with its standard output in a pipe.
  /// - Returns: its exit status, as `run`, and what it wrote.
  static func output(of command: [String]) -> (status: Int32, output: [UInt8]) {
    guard let (pid, pipe) = startWithPipe(command) else { return (127, []) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while let count = try? posix("read", pipe.path, { read(pipe.descriptor, &chunk, chunk.count) }), count > 0
    {
      bytes.append(contentsOf: chunk[..<count])
    }
    return (wait(for: pid), bytes)
  }

  /// The writing end is closed on return: otherwise the output would not end.
  private static func startWithPipe(_ command: [String]) -> (pid_t, OpenFile)? {
    guard let ends = try? PipeEnds(), let pid = start(command, output: ends.writing.descriptor) else {
      return nil
    }
    return (pid, ends.reading)
  }

  private static func start(_ command: [String], output: CInt?) -> pid_t? {
    var arguments = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
    var pid: pid_t = 0
    return posix_spawnp(&pid, command[0], &actions, nil, &arguments, environ) == 0 ? pid : nil
  }

  private static func wait(for pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return 127 } }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }
}
