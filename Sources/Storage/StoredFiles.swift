/// The files of a stored checkpoint, joined from the names and sizes of its objects.
struct StoredFiles: Hashable, Sendable {
  /// By name.
  private(set) var files: [String: [Piece]] = [:]

  /// - Parameters:
  ///   - objects: names and sizes.
  ///   - expected: sizes of files that are known. If a save was interrupted and repeated with parts of another size,
  ///     there may be parts of both; those that add up are chosen.
  init(_ objects: [String: Int], expected: [String: Int] = [:]) {
    var candidates: [String: [Int: [Piece.Part]]] = [:]
    for name in objects.keys {
      let part = Piece.Part(name) ?? Piece.Part(file: name, number: 1, count: 1)
      candidates[part.file, default: [:]][part.count, default: []].append(part)
    }
    for (file, byCount) in candidates {
      let complete = byCount.sorted { $0.key < $1.key }.filter { $0.value.count == $0.key }
      let joined = complete.map { Self.join($0.value, objects) }
      let fitting = joined.first { pieces in
        expected[file].map { $0 == Self.size(pieces) } ?? true
      }
      files[file] = fitting ?? joined.first
    }
  }

  var bytes: Int { files.values.reduce(0) { $0 + Self.size($1) } }

  func bytes(of file: String) -> Int? { files[file].map { Self.size($0) } }

  static func size(_ pieces: [Piece]) -> Int { pieces.reduce(0) { $0 + $1.bytes } }

  private static func join(_ parts: [Piece.Part], _ objects: [String: Int]) -> [Piece] {
    var offset = 0
    return parts.sorted { $0.number < $1.number }.map { part in
      let name = part.count == 1 ? part.file : part.name
      let bytes = objects[name] ?? 0
      defer { offset += bytes }
      return Piece(object: name, file: part.file, offset: offset, bytes: bytes)
    }
  }
}
