import Reporting

/// The address of a metadata server.
public struct Endpoint: Hashable, Sendable {
  /// An IP address or a host name.
  public var address: String
  public var port: UInt16
  /// The value of `Host`; nil: the address.
  public var host: String?

  public init(address: String, port: UInt16, host: String? = nil) {
    self.address = address
    self.port = port
    self.host = host
  }

  /// - Parameters:
  ///   - text: `HOST`, `HOST:PORT` or `http://HOST:PORT/`, with an IPv6 address in brackets.
  ///   - name: the variable that contains it.
  public init(_ text: String, of name: String) throws(PreemptionError) {
    let wrong = PreemptionError(
      .badSource, "invalid endpoint \(name)=\(text)", hint: "\(name)=http://169.254.169.254:80")
    var rest = Substring(text)
    if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    guard !rest.isEmpty, rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      !rest.contains(where: { "/@?#".contains($0) })
    else { throw wrong }
    var port: UInt16 = 80
    let address: Substring
    if rest.first == "[" {
      guard let end = rest.firstIndex(of: "]") else { throw wrong }
      address = rest[rest.index(after: rest.startIndex)..<end]
      rest = rest[rest.index(after: end)...]
    } else {
      address = rest.prefix { $0 != ":" }
      rest = rest.dropFirst(address.count)
    }
    if !rest.isEmpty {
      guard rest.first == ":", let number = UInt16(rest.dropFirst()), number > 0 else { throw wrong }
      port = number
    }
    guard !address.isEmpty else { throw wrong }
    self.init(address: String(address), port: port)
  }

  /// As in a URL.
  public var text: String {
    let name = host ?? (address.contains(":") ? "[\(address)]" : address)
    return port == 80 ? name : "\(name):\(port)"
  }
}
