import Glibc
import Reporting

/// The IP address and port on which metrics are served.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// In its shortest form, without brackets.
  public let address: String
  public let port: UInt16

  static let hint: Hint = "9400 (loopback only), 192.0.2.7:9400, 0.0.0.0:9400 or [::]:9400"

  /// A port on the loopback interface.
  /// - Throws: `badAddress` for an invalid port.
  public init(port: Int) throws(MetricsError) {
    guard let port = UInt16(exactly: port), port > 0 else {
      throw MetricsError(.badAddress, "invalid port \(port); use 1 to 65535", hint: Self.hint)
    }
    self.init(address: "127.0.0.1", port: port)
  }

  /// - Parameter text: `PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Host names are not resolved: one may have
  ///   several addresses, or change its address.
  /// - Throws: `badAddress`.
  public init(_ text: String) throws(MetricsError) {
    if let port = Int(text) {
      try self.init(port: port)
      return
    }
    func invalid(_ why: String) -> MetricsError {
      MetricsError(.badAddress, "invalid listen address '\(text)': \(why)", hint: Self.hint)
    }
    guard let colon = text.lastIndex(of: ":") else { throw invalid("no port given") }
    let portText = text[text.index(after: colon)...]
    // UInt16 would accept `+80`.
    guard portText.utf8.first.map({ 0x30...0x39 ~= $0 }) == true, let port = UInt16(portText), port > 0 else {
      throw invalid("invalid port '\(portText)'; use 1 to 65535")
    }
    var host = text[..<colon]
    if host.isEmpty { throw invalid("no address given") }
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    if host == "localhost", !isBracketed { host = "127.0.0.1" }
    guard let address = Self.canonical(String(host), isBracketed ? AF_INET6 : AF_INET) else {
      let brackets = Self.canonical(String(host), AF_INET6) != nil
      throw invalid(brackets ? "write [\(host)]:\(port)" : "'\(host)' is not an IP address")
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
    // inet_pton(3) would ignore everything after a NUL.
    guard !text.utf8.contains(0) else { return nil }
    var bytes = in6_addr()
    guard inet_pton(family, text, &bytes) == 1 else { return nil }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, &bytes, &buffer, socklen_t(buffer.count)) != nil else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension ListenAddress {
  /// Calls `body` with the address as a `sockaddr`.
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
