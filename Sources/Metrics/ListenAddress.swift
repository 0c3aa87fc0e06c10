import Glibc

/// Where metrics are served: an address of this machine and a port.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// In its shortest form, without brackets.
  public let address: String
  public let port: UInt16

  static let hint = "9400 (the loopback alone), 192.0.2.7:9400, 0.0.0.0:9400 or [::]:9400"

  /// On the loopback.
  /// - Throws: `badAddress` for what is no port.
  public init(port: Int) throws(MetricsError) {
    guard let port = UInt16(exactly: port), port > 0 else {
      throw MetricsError(.badAddress, "\(port) is no port; there are 1 to 65535", hint: Self.hint)
    }
    self.init(address: "127.0.0.1", port: port)
  }

  /// - Parameter text: `PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Names are not looked up: one may have
  ///   several addresses, or another one tomorrow.
  /// - Throws: `badAddress`.
  public init(_ text: String) throws(MetricsError) {
    if let port = Int(text) {
      try self.init(port: port)
      return
    }
    func wrong(_ why: String) -> MetricsError {
      MetricsError(.badAddress, "'\(text)' is no address to listen on: \(why)", hint: Self.hint)
    }
    guard let colon = text.lastIndex(of: ":") else { throw wrong("it has no port") }
    let portText = text[text.index(after: colon)...]
    // Not `+80`, which is a number too.
    guard portText.utf8.first.map({ 0x30...0x39 ~= $0 }) == true, let port = UInt16(portText), port > 0 else {
      throw wrong("'\(portText)' is no port; there are 1 to 65535")
    }
    var host = text[..<colon]
    if host.isEmpty { throw wrong("the address is missing") }
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    if host == "localhost", !isBracketed { host = "127.0.0.1" }
    guard let address = Self.canonical(String(host), isBracketed ? AF_INET6 : AF_INET) else {
      let brackets = Self.canonical(String(host), AF_INET6) != nil
      throw wrong(brackets ? "write [\(host)]:\(port)" : "'\(host)' is no IP address")
    }
    self.init(address: address, port: port)
  }

  private init(address: String, port: UInt16) {
    self.address = address
    self.port = port
  }

  public var description: String {
    address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
  }

  private static func canonical(_ text: String, _ family: CInt) -> String? {
    // inet_pton(3) would read up to a NUL and take the rest for nothing.
    guard !text.utf8.contains(0) else { return nil }
    var bytes = in6_addr()
    guard inet_pton(family, text, &bytes) == 1 else { return nil }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, &bytes, &buffer, socklen_t(buffer.count)) != nil else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension ListenAddress {
  /// Calls `body` with the address as the kernel takes it.
  func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var storage = sockaddr_storage()
    let size = withUnsafeMutableBytes(of: &storage) { raw -> Int in
      if address.contains(":") {
        var value = sockaddr_in6()
        value.sin6_family = sa_family_t(AF_INET6)
        value.sin6_port = port.bigEndian
        inet_pton(AF_INET6, address, &value.sin6_addr)
        raw.storeBytes(of: value, as: sockaddr_in6.self)
        return MemoryLayout<sockaddr_in6>.size
      }
      var value = sockaddr_in()
      value.sin_family = sa_family_t(AF_INET)
      value.sin_port = port.bigEndian
      inet_pton(AF_INET, address, &value.sin_addr)
      raw.storeBytes(of: value, as: sockaddr_in.self)
      return MemoryLayout<sockaddr_in>.size
    }
    return withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(size)) }
    }
  }

  var family: CInt { address.contains(":") ? AF_INET6 : AF_INET }
}
