/// The encoding of parts: `{u8 kind, u8 name length, u16 zero, u32 length, name, bytes}` each.
public enum EncodedParts {
  public static func encode(_ parts: [LoopState.Part]) -> [UInt8] {
    var bytes: [UInt8] = []
    for part in parts {
      let name = Array(part.name.utf8.prefix(255))
      bytes += [part.kind.rawValue, UInt8(name.count), 0, 0]
      withUnsafeBytes(of: UInt32(part.bytes.count).littleEndian) { bytes += $0 }
      bytes += name
      bytes += part.bytes
    }
    return bytes
  }

  /// Whether parts of this kind are compared when a step is replayed.
  @inline(__always)
  public static func isAudited(_ kind: UInt8) -> Bool {
    kind == LoopState.Part.Kind.rng.rawValue || kind == LoopState.Part.Kind.sampler.rawValue
  }

  /// Calls `body` with each part; never reads outside `bytes`.
  /// - Returns: the size of `count` parts; nil if they are invalid.
  public static func walk(
    _ bytes: UnsafeRawBufferPointer, count: Int,
    _ body: (_ kind: UInt8, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void = {
      _, _, _ in
    }
  ) -> Int? {
    var offset = 0
    for _ in 0..<count {
      guard bytes.count - offset >= 8 else { return nil }
      let nameCount = Int(bytes[offset + 1])
      let valueCount = Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self).littleEndian)
      let end = offset + 8 + nameCount + valueCount
      guard end <= bytes.count else { return nil }
      body(
        bytes[offset], UnsafeRawBufferPointer(rebasing: bytes[offset + 8..<offset + 8 + nameCount]),
        UnsafeRawBufferPointer(rebasing: bytes[offset + 8 + nameCount..<end]))
      offset = end
    }
    return offset
  }

  /// Kind and name of each part that is compared when a step is replayed.
  public static func auditedNames(
    _ bytes: UnsafeRawBufferPointer, count: Int
  ) -> [(kind: UInt8, name: String)] {
    var names: [(kind: UInt8, name: String)] = []
    _ = walk(bytes, count: count) { kind, name, _ in
      if isAudited(kind) { names.append((kind, String(decoding: name, as: UTF8.self))) }
    }
    return names
  }

  /// - Returns: nil when `bytes` are not exactly `count` parts.
  public static func decode(_ bytes: UnsafeRawBufferPointer, count: Int) -> [LoopState.Part]? {
    var parts: [LoopState.Part] = []
    let used = walk(bytes, count: count) { kind, name, value in
      guard let kind = LoopState.Part.Kind(rawValue: kind) else { return }
      parts.append(.init(kind: kind, name: String(decoding: name, as: UTF8.self), bytes: Array(value)))
    }
    return used == bytes.count && parts.count == count ? parts : nil
  }
}
