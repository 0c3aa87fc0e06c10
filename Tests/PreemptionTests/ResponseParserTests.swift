import Reporting
import Testing

@testable import Preemption

@Suite struct ResponseParserTests {
  /// Parses `text` in pieces of the given sizes, repeated.
  static func parse(_ text: String, pieces: [Int] = [.max], closes: Bool = true) throws -> HTTPResponse? {
    var parser = ResponseParser()
    var rest = Array(text.utf8)[...]
    var index = 0
    while !rest.isEmpty {
      let count = min(rest.count, pieces[index % pieces.count])
      try parser.append(rest.prefix(count))
      rest = rest.dropFirst(count)
      index += 1
    }
    if closes { try parser.end() }
    return parser.result
  }

  static let whole = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b \r\n\r\nTRUE", 200, "TRUE"),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nTR\r\n2;x=y\r\nUE\r\n0\r\nT: u\r\n\r\n", 200,
      "TRUE"
    ),
    ("HTTP/1.0 200 OK\r\n\r\nTRUE", 200, "TRUE"),
    ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""),
    ("HTTP/1.1 204\r\n\r\n", 204, ""),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, "x"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nTRUEand more than was asked for", 200, "TRUE"),
  ]

  @Test(arguments: whole) func responseIsIndependentOfFragmentation(
    text: String, status: Int, body: String
  )
    throws
  {
    for pieces in [[1], [2], [3, 1], [7, 2, 1], [.max]] {
      let response = try #require(try Self.parse(text, pieces: pieces))
      #expect(response.status == status && response.text == body)
    }
  }

  @Test(arguments: whole.prefix(5)) func partialResponseIsIncomplete(text: String, status: Int, body: String)
  {
    let count = text.utf8.count
    let isDelimited = text.contains("Length") || text.contains("chunked") || text.contains("204")
    for length in 0..<(isDelimited ? count : 10) {
      let part = String(decoding: Array(text.utf8)[..<length], as: UTF8.self)
      #expect(throws: PreemptionError.self) { try Self.parse(part) }
    }
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno header\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
    "HTTP/1.1 200 OK\r\nA: b\u{0}c\r\n\r\n",
  ]) func invalidResponseIsRejected(text: String) {
    #expect(throws: PreemptionError.self) { try Self.parse(text) }
  }

  @Test(arguments: ["Content-Length: 10485760", "Transfer-Encoding: chunked", "X: y"])
  func oversizedBodyIsRejected(header: String) {
    var parser = ResponseParser()
    var taken = 0
    #expect {
      try parser.append(Array("HTTP/1.1 200 OK\r\n\(header)\r\n\r\n".utf8))
      while taken < 10 << 20 {
        if header.contains("chunked") { try parser.append(Array("10000\r\n".utf8)) }
        try parser.append([UInt8](repeating: 0x20, count: 1 << 16))
        if header.contains("chunked") { try parser.append(Array("\r\n".utf8)) }
        taken += 1 << 16
      }
    } throws: {
      ($0 as? PreemptionError)?.code == .answerTooLarge
    }
    #expect(taken <= ResponseParser.longestBody)
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 200 OK\r\n", "",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
  ])
  func endlessHeadIsRejected(start: String) {
    var parser = ResponseParser()
    #expect {
      try parser.append(Array(start.utf8))
      for _ in 0..<100 { try parser.append(Array(String(repeating: "a", count: 1000).utf8)) }
    } throws: {
      ($0 as? PreemptionError)?.code == .answerTooLarge
    }
  }

  /// Arbitrary bytes never crash the parser, and the result is independent of fragmentation.
  @Test func damagedResponsesNeverCrash() {
    var random = Seeded(seed: 11)
    for _ in 0..<5_000 {
      var bytes = Array(Self.whole.randomElement(using: &random)!.0.utf8)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: bytes.indices, using: &random)
        if Bool.random(using: &random) {
          bytes[index] = UInt8.random(in: 0...255, using: &random)
        } else {
          bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        }
      }
      let text = bytes
      func parse(_ pieces: Int) -> HTTPResponse? {
        var parser = ResponseParser()
        do {
          for start in stride(from: 0, to: text.count, by: pieces) {
            try parser.append(text[start..<min(text.count, start + pieces)])
            if parser.result != nil { break }
          }
          try parser.end()
          return parser.result
        } catch {
          return nil
        }
      }
      #expect(parse(1) == parse(bytes.count))
    }
  }
}
