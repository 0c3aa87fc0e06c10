import TrainerProtocol

/// The states of random sources and samplers, encoded once as a snapshot's parts and updated in place at
/// every step, without allocations or calls per part.
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

  /// Copies the current states. Words are stored in the machine's byte order; all supported machines are
  /// little-endian.
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
