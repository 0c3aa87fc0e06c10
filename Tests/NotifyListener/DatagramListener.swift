import Glibc

/// A datagram socket in place of systemd's or journald's.
public final class DatagramListener {
  public let address: String
  private let descriptor: Int32

  /// - Parameter address: a path, or `@` and a name in the abstract namespace.
  public init(_ address: String) {
    self.address = address
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(address.utf8)
    if address.hasPrefix("@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let bound = withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    precondition(bound == 0, "cannot bind \(address): \(String(cString: strerror(errno)))")
  }

  deinit {
    close(descriptor)
    if !address.hasPrefix("@") { unlink(address) }
  }

  /// The next queued message, if any.
  public func receive() -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : Array(bytes.prefix(count))
  }

  public func receiveText() -> String? { receive().map { String(decoding: $0, as: UTF8.self) } }
}
