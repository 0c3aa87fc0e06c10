/// A complete response.
public struct HTTPResponse: Hashable, Sendable {
  public var status: Int
  /// By lower-case name; of repeated headers, the last.
  public var headers: [String: String]
  public var body: [UInt8]

  public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The body as text, without surrounding white space.
  public var text: String {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 >= 0x09 && $0 <= 0x0d }
    let start = body.drop(while: isSpace)
    let count = start.reversed().drop(while: isSpace).count
    return String(decoding: start.prefix(count), as: UTF8.self)
  }

  /// The server's time, since 1970.
  public var date: Duration? { headers["date"].flatMap(InternetDate.http) }
}
