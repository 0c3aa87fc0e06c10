/// The part of a checkpoint's file that one object contains: all of a small file.
struct Piece: Hashable, Sendable {
  /// Name of the object.
  var object: String
  /// Name of the file.
  var file: String
  var offset: Int
  var bytes: Int

  /// Splits a file. Files of at most `partBytes` are one object with the file's name; the parts of others are named
  /// `state.safetensors.part-00002-of-00004`, so that `cat state.safetensors.part-*` joins them.
  static func pieces(of file: String, bytes: Int, partBytes: Int) -> [Piece] {
    let count = max(1, (bytes + partBytes - 1) / partBytes)
    guard count > 1 else { return [Piece(object: file, file: file, offset: 0, bytes: bytes)] }
    return (0..<count).map { index in
      Piece(
        object: Part(file: file, number: index + 1, count: count).name, file: file, offset: index * partBytes,
        bytes: min(partBytes, bytes - index * partBytes))
    }
  }

  /// Fields of a part's name.
  struct Part: Hashable, Sendable {
    static let mostParts = 99_999

    var file: String
    /// From 1.
    var number: Int
    var count: Int

    init(file: String, number: Int, count: Int) {
      self.file = file
      self.number = number
      self.count = count
    }

    /// - Returns: nil if `name` is not that of a part.
    init?(_ name: String) {
      let words = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let last = words.last, words.count > 1 else { return nil }
      let fields = last.split(separator: "-", omittingEmptySubsequences: false)
      guard fields.count == 4, fields[0] == "part", fields[2] == "of", fields[1].utf8.count == 5,
        fields[3].utf8.count == 5, let number = Int(fields[1]), let count = Int(fields[3]), count > 1,
        (1...count).contains(number)
      else { return nil }
      self.init(file: words.dropLast().joined(separator: "."), number: number, count: count)
    }

    var name: String { "\(file).part-\(Self.digits(number))-of-\(Self.digits(count))" }

    private static func digits(_ value: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, 5 - text.utf8.count)) + text
    }
  }
}
