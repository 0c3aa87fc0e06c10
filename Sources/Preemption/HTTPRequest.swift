/// An HTTP/1.1 request, the only one on its connection.
public struct HTTPRequest: Hashable, Sendable {
  public enum Method: String, Hashable, Sendable {
    case get = "GET"
    case put = "PUT"
    case post = "POST"
  }

  public var method: Method
  /// Path and query.
  public var target: String
  public var headers: [String: String]
  public var body: String

  public init(_ method: Method, _ target: String, headers: [String: String] = [:], body: String = "") {
    self.method = method
    self.target = target
    self.headers = headers
    self.body = body
  }

  public func bytes(to endpoint: Endpoint) -> [UInt8] {
    var text = "\(method.rawValue) \(target) HTTP/1.1\r\nHost: \(endpoint.text)\r\nConnection: close\r\n"
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
    if method != .get { text += "Content-Length: \(body.utf8.count)\r\n" }
    return Array((text + "\r\n" + body).utf8)
  }
}
