import TrainerProtocol

/// A step's row in `snapshots`. Little-endian, 72 bytes, 8 for each metric and 4 for each part:
///
///     0  u8  format, 2          24 u64 batch             56 u64 digest of the samplers
///     1  u8  phase              32 u64 samples           64 u16 number of metrics
///     2  u16 zero               40 u64 time, ns          66 u16 number of parts
///     4  u32 CRC-32             48 u64 digest of the     68 four zero bytes
///     8  u64 attempt                 random streams      72 the metrics' bits, then u32 digests of
///     16 u64 epoch                                          each random stream and sampler
///
/// Format 1 has no parts, and digests that depend on their order. The CRC is over all of it with its own field
/// zero: LMDB 0.9 has no checksums.
public struct SnapshotRow: Hashable, Sendable {
  public static let headerBytes = 72
  static let format: UInt8 = 2

  public var step: UInt64
  public var attempt: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var samples: UInt64
  public var timeNs: UInt64
  public var phase: UInt8
  public var rngDigest: UInt64
  public var samplerDigest: UInt64
  public var metrics: [Double]
  /// Digests of each random stream and sampler, in the trainer's order; empty for format 1.
  public var partDigests: [UInt32]

  /// - Returns: nil if the value is damaged.
  init?(step: UInt64, _ value: UnsafeRawBufferPointer) {
    guard Self.isIntact(value) else { return nil }
    self.step = step
    phase = value[1]
    attempt = value.word(8)
    epoch = value.word(16)
    batch = value.word(24)
    samples = value.word(32)
    timeNs = value.word(40)
    rngDigest = value.word(48)
    samplerDigest = value.word(56)
    metrics = (0..<Self.metricCount(value)).map { Double(bitPattern: value.word(Self.headerBytes + $0 * 8)) }
    partDigests = Self.partDigests(value) ?? []
  }

  @inline(__always)
  static func metricCount(_ value: UnsafeRawBufferPointer) -> Int {
    Int(UInt16(littleEndian: value.loadUnaligned(fromByteOffset: 64, as: UInt16.self)))
  }

  /// Size of a row.
  @inline(__always)
  static func bytes(metricBytes: Int, parts: Int) -> Int { headerBytes + metricBytes + parts * 4 }

  @inline(__always)
  static func partCount(_ value: UnsafeRawBufferPointer) -> Int {
    guard value[0] == format else { return 0 }
    return Int(UInt16(littleEndian: value.loadUnaligned(fromByteOffset: 66, as: UInt16.self)))
  }

  /// The metrics' bits of an intact row.
  static func metricBytes(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: value[headerBytes..<headerBytes + metricCount(value) * 8])
  }

  /// Digests of each random stream and sampler of an intact row; nil if its format has none.
  static func partDigests(_ value: UnsafeRawBufferPointer) -> [UInt32]? {
    guard value[0] == format else { return nil }
    let begin = headerBytes + metricCount(value) * 8
    return (0..<partCount(value)).map {
      UInt32(littleEndian: value.loadUnaligned(fromByteOffset: begin + $0 * 4, as: UInt32.self))
    }
  }

  static func isIntact(_ value: UnsafeRawBufferPointer) -> Bool {
    guard value.count >= headerBytes, value[0] == 1 || value[0] == format,
      value.count == bytes(metricBytes: metricCount(value) * 8, parts: partCount(value))
    else { return false }
    return checksum(value) == UInt32(littleEndian: value.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
  }

  @inline(__always)
  private static func checksum(_ value: UnsafeRawBufferPointer) -> UInt32 {
    let head = CRC32.checksum(UnsafeRawBufferPointer(rebasing: value[..<4]))
    return CRC32.checksum(UnsafeRawBufferPointer(rebasing: value[8...]), head)
  }

  /// Writes the row of `snapshot` into `value`, which must have exactly its size.
  @inline(__always)
  static func write(
    _ snapshot: SnapshotView, attempt: UInt64, digests: (rng: UInt64, sampler: UInt64), parts: [UInt32],
    into value: UnsafeMutableRawBufferPointer
  ) {
    guard let base = value.baseAddress else { return }
    base.storeBytes(of: UInt64(0), as: UInt64.self)
    base.storeBytes(of: format, as: UInt8.self)
    base.storeBytes(of: snapshot.phase, toByteOffset: 1, as: UInt8.self)
    base.storeBytes(of: attempt.littleEndian, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: snapshot.epoch.littleEndian, toByteOffset: 16, as: UInt64.self)
    base.storeBytes(of: snapshot.batch.littleEndian, toByteOffset: 24, as: UInt64.self)
    base.storeBytes(of: snapshot.samples.littleEndian, toByteOffset: 32, as: UInt64.self)
    base.storeBytes(of: snapshot.timeNanoseconds.littleEndian, toByteOffset: 40, as: UInt64.self)
    base.storeBytes(of: digests.rng.littleEndian, toByteOffset: 48, as: UInt64.self)
    base.storeBytes(of: digests.sampler.littleEndian, toByteOffset: 56, as: UInt64.self)
    let counts = UInt64(snapshot.metricCount) | UInt64(parts.count) << 16
    base.storeBytes(of: counts.littleEndian, toByteOffset: 64, as: UInt64.self)
    let metrics = snapshot.metricBytes
    if let source = metrics.baseAddress, metrics.count > 0 {
      (base + headerBytes).copyMemory(from: source, byteCount: metrics.count)
    }
    parts.withUnsafeBytes { parts in
      // All supported machines are little-endian.
      guard let source = parts.baseAddress else { return }
      (base + headerBytes + metrics.count).copyMemory(from: source, byteCount: parts.count)
    }
    base.storeBytes(
      of: checksum(UnsafeRawBufferPointer(value)).littleEndian, toByteOffset: 4, as: UInt32.self)
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always)
  func word(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
