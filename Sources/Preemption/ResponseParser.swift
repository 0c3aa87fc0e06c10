import Reporting

/// An incremental parser of one HTTP/1.1 response, for arbitrary bytes, within fixed limits.
public struct ResponseParser: Sendable {
  /// Far more than any metadata server sends.
  public static let longestHead = 16 << 10
  public static let longestBody = 256 << 10

  private enum Stage {
    case head
    case counted(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailer
    /// Until the server closes the connection.
    case unbounded
    case complete
  }

  private var stage = Stage.head
  /// Received, not yet parsed; at most `longestHead`.
  private var pending: [UInt8] = []
  private var lineBytes = 0
  private var response = HTTPResponse(status: 0)

  public init() {}

  /// The response, once it is complete.
  public var result: HTTPResponse? {
    if case .complete = stage { response } else { nil }
  }

  public mutating func append(_ bytes: some Collection<UInt8>) throws(PreemptionError) {
    pending.append(contentsOf: bytes)
    var start = 0
    while try advance(&start) {}
    pending.removeFirst(start)
  }

  /// Call this when the server closed the connection.
  public mutating func end() throws(PreemptionError) {
    switch stage {
    case .unbounded: stage = .complete
    case .complete: break
    default:
      throw PreemptionError(
        .cutOff, "connection closed before the end of the response", hint: "nothing to do; it is retried")
    }
  }

  /// - Returns: false when more bytes are needed.
  private mutating func advance(_ start: inout Int) throws(PreemptionError) -> Bool {
    switch stage {
    case .head:
      guard let line = try line(&start) else { return false }
      try parseHeadLine(line)
    case .counted(let left):
      guard let rest = try readBody(&start, left) else { return false }
      stage = rest == 0 ? .complete : .counted(left: rest)
    case .unbounded:
      guard try readBody(&start, .max) != nil else { return false }
    case .chunkSize:
      guard let line = try line(&start) else { return false }
      let digits = line.prefix { $0 != ";" && $0 != " " }
      guard digits.utf8.count <= 8, let size = Int(digits, radix: 16), size >= 0, !digits.hasPrefix("+"),
        !digits.hasPrefix("-")
      else { throw PreemptionError(answer: "invalid chunk size in the response") }
      stage = size == 0 ? .trailer : .chunk(left: size)
    case .chunk(let left):
      guard let rest = try readBody(&start, left) else { return false }
      stage = rest == 0 ? .chunkEnd : .chunk(left: rest)
    case .chunkEnd:
      guard let line = try line(&start) else { return false }
      guard line.isEmpty else { throw PreemptionError(answer: "missing end of a chunk in the response") }
      stage = .chunkSize
    case .trailer:
      guard let line = try line(&start) else { return false }
      if line.isEmpty { stage = .complete }
    case .complete:
      // Ignore anything after the response.
      start = pending.count
      return false
    }
    return true
  }

  /// - Returns: the bytes of `left` that are still missing; nil if nothing was received.
  private mutating func readBody(_ start: inout Int, _ left: Int) throws(PreemptionError) -> Int? {
    let count = min(left, pending.count - start)
    guard count > 0 || left == 0 else { return nil }
    guard response.body.count + count <= Self.longestBody else { throw Self.tooLarge }
    response.body.append(contentsOf: pending[start..<(start + count)])
    start += count
    return left - count
  }

  private static var tooLarge: PreemptionError {
    PreemptionError(
      .answerTooLarge, "the response is larger than \(longestBody >> 10) KiB",
      hint: "check with curl that this is the metadata server")
  }

  /// A line without its ending; nil until it is complete.
  private mutating func line(_ start: inout Int) throws(PreemptionError) -> String? {
    guard let end = pending[start...].firstIndex(of: 0x0a) else {
      guard lineBytes + pending.count - start <= Self.longestHead else { throw Self.tooLarge }
      return nil
    }
    var bytes = pending[start..<end]
    lineBytes += bytes.count
    guard lineBytes <= Self.longestHead else { throw Self.tooLarge }
    if bytes.last == 0x0d { bytes.removeLast() }
    start = end + 1
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
      throw PreemptionError(answer: "the response is not HTTP")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: The head

  private mutating func parseHeadLine(_ line: String) throws(PreemptionError) {
    if response.status == 0 {
      response.status = try Self.status(line)
    } else if line.isEmpty {
      try beginBody()
    } else {
      guard let colon = line.firstIndex(of: ":"), colon != line.startIndex,
        !line[..<colon].contains(where: { $0 == " " || $0 == "\t" })
      else { throw PreemptionError(answer: "invalid header in the response") }
      let name = line[..<colon].lowercased()
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      let trimmed = String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
      // Different lengths would allow two readings.
      if name == "content-length", let known = response.headers[name], known != trimmed {
        throw PreemptionError(answer: "different Content-Length headers in the response")
      }
      response.headers[name] = trimmed
    }
  }

  private static func status(_ line: String) throws(PreemptionError) -> Int {
    let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0", parts[1].utf8.count == 3,
      let status = Int(parts[1]), status >= 100
    else { throw PreemptionError(answer: "the response is not HTTP") }
    return status
  }

  private mutating func beginBody() throws(PreemptionError) {
    if response.status < 200 {
      // An interim response; the final one follows.
      response = HTTPResponse(status: 0)
      return
    }
    if response.status == 204 || response.status == 304 {
      stage = .complete
    } else if let coding = response.headers["transfer-encoding"] {
      guard coding.lowercased() == "chunked", response.headers["content-length"] == nil else {
        throw PreemptionError(answer: "unsupported Transfer-Encoding in the response")
      }
      stage = .chunkSize
    } else if let length = response.headers["content-length"] {
      guard length.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let count = Int(length) else {
        throw PreemptionError(answer: "invalid Content-Length in the response")
      }
      // Refused before any of it is read.
      guard count <= Self.longestBody else { throw Self.tooLarge }
      stage = count == 0 ? .complete : .counted(left: count)
    } else {
      stage = .unbounded
    }
  }
}
