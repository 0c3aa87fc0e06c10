import Glibc
import Systemd

/// A socket as systemd's, for as long as it lives: `NOTIFY_SOCKET` of this process names it.
final class FakeServiceManager {
  private let descriptor: Int32
  private let path: String?

  /// - Parameter address: with `@` in front, in the abstract namespace.
  init(_ address: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    path = address.hasPrefix("@") ? nil : address
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(address.utf8)
    if path == nil { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let bound = withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    precondition(bound == 0, "cannot bind \(address): \(String(cString: strerror(errno)))")
    setenv("NOTIFY_SOCKET", address, 1)
  }

  deinit {
    close(descriptor)
    if let path { unlink(path) }
    unsetenv("NOTIFY_SOCKET")
  }

  /// The next message that is queued, nil when there is none.
  func receive() -> String? {
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
