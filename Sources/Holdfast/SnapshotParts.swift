import TrainerProtocol

/// The states of random sources and samplers, laid out once as a snapshot's parts and refreshed in
/// place at every step: no allocation, no call per part.
struct SnapshotParts {
  private struct Source {
    var words: UnsafeMutablePointer<UInt64>
    var offset: Int
    var bytes: Int
  }

  private(set) var count = 0
  private(set) var bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 8)
  private var sources = UnsafeMutableBufferPointer<Source>.allocate(capacity: 0)

  mutating func add(
    _ kind: LoopState.Part.Kind, _ name: String, _ words: UnsafeMutablePointer<UInt64>, _ wordCount: Int
  ) {
    let size = wordCount * 8
    let encoded = EncodedParts.encode([
      .init(kind: kind, name: name, bytes: [UInt8](repeating: 0, count: size))
    ])
    let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + encoded.count, alignment: 8)
    grown.copyBytes(from: Array(bytes) + encoded)
    let source = Source(words: words, offset: grown.count - size, bytes: size)
    let old = Array(sources)
    free()
    bytes = grown
    sources = .allocate(capacity: old.count + 1)
    _ = sources.initialize(from: old + [source])
    count += 1
  }

  /// Takes the states as they are now. Words are stored as the machine has them: little-endian on
  /// every machine that this runs on.
  @inline(__always)
  func refresh() {
    guard let base = bytes.baseAddress else { return }
    for source in sources {
      (base + source.offset).copyMemory(from: source.words, byteCount: source.bytes)
    }
  }

  func free() {
    bytes.deallocate()
    sources.deallocate()
  }
}
