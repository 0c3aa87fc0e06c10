/// Where a program failed, and with which exception. Equal values mean the same mistake, even if numbers and
/// addresses in the messages differ.
public struct FailurePlace: Hashable, Sendable, Codable {
  /// The exception's type.
  public var type: String
  /// The innermost line of its traceback, `train.py:42`; without one, its message without the numbers.
  public var place: String

  public init(type: String, message: String, traceback: String?) {
    self.type = type
    place = traceback.flatMap(Self.innermost) ?? Self.withoutNumbers(message)
  }

  /// Python writes `  File "/srv/train.py", line 42, in main`. The last one is the innermost frame of the exception
  /// that ended the program.
  private static func innermost(_ traceback: String) -> String? {
    for line in traceback.split(separator: "\n").reversed() {
      // Lines of an exception group have a margin.
      guard let start = line.firstRange(of: "File \""),
        line[..<start.lowerBound].allSatisfy({ $0 == " " || $0 == "|" }),
        let end = line[start.upperBound...].firstRange(of: "\", line ")
      else { continue }
      let number = line[end.upperBound...].prefix { $0.isNumber }
      guard !number.isEmpty else { continue }
      return "\(line[start.upperBound..<end.lowerBound]):\(number)"
    }
    return nil
  }

  /// Addresses, pids, sizes and losses change from one attempt to the next.
  private static func withoutNumbers(_ message: String) -> String {
    var text = ""
    var isInNumber = false
    for character in message.prefix(200) {
      let isDigit =
        character.isHexDigit && (isInNumber || character.isNumber) || isInNumber && character == "x"
      if !isDigit { text.append(character) } else if !isInNumber { text.append("#") }
      isInNumber = isDigit
    }
    return text
  }
}
