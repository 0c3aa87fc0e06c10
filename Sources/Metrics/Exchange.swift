/// Parses a request and makes the response: the part of HTTP/1.1 that a scrape needs, without I/O.
enum Exchange {
  /// A longer request is rejected.
  static let requestLimit = 8 << 10

  static let path = "/metrics"

  /// The response to `request`; nil while the request is incomplete.
  /// - Parameter metrics: returns the text of the metrics.
  static func answer(_ request: [UInt8], metrics: () -> String) -> [UInt8]? {
    guard let end = headEnd(request) else {
      return request.count > requestLimit ? response("431 Request Header Fields Too Large") : nil
    }
    let line = request[..<end].prefix { $0 != 0x0a }.filter { $0 != 0x0d }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1."), !words[0].isEmpty else {
      return response("400 Bad Request")
    }
    guard target(words[1]) == path else {
      return response("404 Not Found", body: "The metrics are at \(path).\n", isHead: words[0] == "HEAD")
    }
    guard words[0] == "GET" || words[0] == "HEAD" else {
      return response("405 Method Not Allowed", headers: ["Allow: GET, HEAD"])
    }
    return response(
      "200 OK", headers: ["Content-Type: \(Exposition.contentType)"], body: metrics(),
      isHead: words[0] == "HEAD")
  }

  /// The end of the empty line after the head. Lines may end in a line feed alone (RFC 9112, 2.2).
  private static func headEnd(_ request: [UInt8]) -> Int? {
    var isEmpty = false
    for (index, byte) in request.enumerated() {
      if byte == 0x0a {
        if isEmpty { return index }
        isEmpty = true
      } else if byte != 0x0d {
        isEmpty = false
      }
    }
    return nil
  }

  /// The path of the request target, which may be a whole URL (RFC 9112, 3.2.2).
  private static func target(_ text: Substring) -> Substring {
    var path = text.prefix { $0 != "?" }
    let scheme = "http://"
    if path.lowercased().hasPrefix(scheme) {
      path = path.dropFirst(scheme.count)
      path = path.drop { $0 != "/" }
    }
    return path
  }

  private static func response(
    _ status: String, headers: [String] = [], body: String? = nil, isHead: Bool = false
  ) -> [UInt8] {
    let body = body ?? "\(status)\n"
    let type = headers.contains { $0.hasPrefix("Content-Type:") } ? [] : ["Content-Type: text/plain"]
    let lines =
      ["HTTP/1.1 \(status)"] + headers + type + [
        "Content-Length: \(body.utf8.count)", "Cache-Control: no-store", "Connection: close", "", "",
      ]
    return Array((lines.joined(separator: "\r\n") + (isHead ? "" : body)).utf8)
  }
}
