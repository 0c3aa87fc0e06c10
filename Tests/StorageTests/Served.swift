import Glibc
import POSIX
import SystemPackage

/// `rclone serve`, which ends with this value or this process.
final class Served {
  private let end = Gate()
  private let ended = Gate()

  /// Returns when `port` accepts connections.
  init(_ arguments: [String], port: Int) throws {
    let path = try Executable.find("rclone", searchPath: "/usr/local/bin:/usr/bin:/bin")
    let (end, ended) = (end, ended)
    // A child dies with the thread that started it.
    try NativeThread.start {
      let child = try? ChildProcess(
        .init(path: path, arguments: ["rclone", "serve"] + arguments, environment: ["PATH=/usr/bin:/bin"]))
      end.wait()
      if let child {
        child.signalGroup(SIGKILL)
        var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, 10_000)
        _ = try? child.reap()
      }
      ended.open()
    }
    for _ in 0..<1000 where !Self.accepts(port) { usleep(20_000) }
    guard Self.accepts(port) else {
      stop()
      throw Errno.connectionRefused
    }
  }

  func stop() {
    end.open()
    ended.wait()
  }

  private static func accepts(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}
