import CTrainerProtocol

/// A snapshot record's payload, read in place. Valid only as long as the bytes are.
public struct SnapshotView {
  public let payload: UnsafeRawBufferPointer
  public let metricCount: Int
  public let partCount: Int
  public let partsBytes: UnsafeRawBufferPointer
  /// The state image of a full snapshot; empty otherwise.
  public let image: UnsafeRawBufferPointer

  /// - Returns: nil when the bytes are not a snapshot.
  public init?(_ payload: UnsafeRawBufferPointer) {
    guard payload.count >= Int(HF_SNAPSHOT_BYTES) else { return nil }
    self.payload = payload
    metricCount = Int(payload.u16(HF_SNAPSHOT_METRIC_COUNT))
    partCount = Int(payload.u16(HF_SNAPSHOT_PART_COUNT))
    let imageBytes = payload.u64(HF_SNAPSHOT_IMAGE_BYTES)
    let partsAt = Int(HF_SNAPSHOT_BYTES) + metricCount * 8
    guard partsAt <= payload.count, imageBytes <= UInt64(payload.count - partsAt) else { return nil }
    let imageAt = payload.count - Int(imageBytes)
    partsBytes = UnsafeRawBufferPointer(rebasing: payload[partsAt..<imageAt])
    image = UnsafeRawBufferPointer(rebasing: payload[imageAt...])
    guard EncodedParts.walk(partsBytes, count: partCount) == partsBytes.count else { return nil }
  }

  /// The problem of an invalid snapshot; nil if it is valid.
  public static func problem(_ payload: UnsafeRawBufferPointer) -> RecordProblem? {
    guard payload.count >= Int(HF_SNAPSHOT_BYTES) else {
      return RecordProblem(.snapshot, nil, "has \(payload.count) bytes, fewer than \(HF_SNAPSHOT_BYTES)")
    }
    let rest = payload.count - Int(HF_SNAPSHOT_BYTES) - Int(payload.u16(HF_SNAPSHOT_METRIC_COUNT)) * 8
    guard rest >= 0 else {
      return RecordProblem(.snapshot, "number of metrics", "exceeds the size of the record")
    }
    guard payload.u64(HF_SNAPSHOT_IMAGE_BYTES) <= UInt64(rest) else {
      return RecordProblem(.snapshot, "bytes of the image", "exceed the size of the record")
    }
    guard let view = SnapshotView(payload) else {
      return RecordProblem(.snapshot, "parts", "do not fill the space between metrics and image")
    }
    let isKnown = LoopState.Phase(rawValue: view.phase) != nil
    return isKnown ? nil : RecordProblem(.snapshot, "phase", "is not 0, 1 or 2")
  }

  public var step: UInt64 { payload.u64(HF_SNAPSHOT_STEP) }
  public var epoch: UInt64 { payload.u64(HF_SNAPSHOT_EPOCH) }
  public var batch: UInt64 { payload.u64(HF_SNAPSHOT_BATCH) }
  public var samples: UInt64 { payload.u64(HF_SNAPSHOT_SAMPLES) }
  /// CLOCK_REALTIME.
  public var timeNanoseconds: UInt64 { payload.u64(HF_SNAPSHOT_TIME_NS) }
  public var phase: UInt8 { payload[Int(HF_SNAPSHOT_PHASE)] }

  /// The metrics as doubles of 8 bytes, little-endian.
  public var metricBytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      rebasing: payload[Int(HF_SNAPSHOT_BYTES)..<Int(HF_SNAPSHOT_BYTES) + metricCount * 8])
  }

  public func metric(_ index: Int) -> Double {
    Double(bitPattern: payload.u64(HF_SNAPSHOT_BYTES + UInt32(index) * 8))
  }

  /// Digests of the names and bytes of random streams and samplers: one for all parts of each kind (0 if there are
  /// none), independent of their order, and 32 bits for each part, in order, in `each`.
  @inline(__always)
  public func digests(each: inout [UInt32]) -> (rng: UInt64, sampler: UInt64) {
    each.removeAll(keepingCapacity: true)
    var rng: UInt64 = 0
    var sampler: UInt64 = 0
    _ = EncodedParts.walk(partsBytes, count: partCount) { kind, name, value in
      guard EncodedParts.isAudited(kind) else { return }
      let digest = XXH64.hash(value, seed: XXH64.hash(name, seed: UInt64(kind)))
      each.append(UInt32(truncatingIfNeeded: digest))
      if kind == LoopState.Part.Kind.rng.rawValue { rng &+= digest } else { sampler &+= digest }
    }
    return (rng, sampler)
  }

  /// The digests in rows of format 1, which depend on the order.
  public func chainedDigests() -> (rng: UInt64, sampler: UInt64) {
    var rng: UInt64 = 0
    var sampler: UInt64 = 0
    _ = EncodedParts.walk(partsBytes, count: partCount) { kind, name, value in
      switch kind {
      case LoopState.Part.Kind.rng.rawValue: rng = XXH64.hash(value, seed: XXH64.hash(name, seed: rng))
      case LoopState.Part.Kind.sampler.rawValue:
        sampler = XXH64.hash(value, seed: XXH64.hash(name, seed: sampler))
      default: break
      }
    }
    return (rng, sampler)
  }

  public func loopState() -> LoopState? {
    guard let parts = EncodedParts.decode(partsBytes, count: partCount) else { return nil }
    return LoopState(
      epoch: epoch, batch: batch, samples: samples, phase: LoopState.Phase(rawValue: phase) ?? .other,
      parts: parts)
  }
}

extension UnsafeRawBufferPointer {
  // The caller checks the bounds.
  @inline(__always) func u16(_ offset: some BinaryInteger) -> UInt16 {
    loadUnaligned(fromByteOffset: Int(offset), as: UInt16.self).littleEndian
  }
  @inline(__always) func u32(_ offset: some BinaryInteger) -> UInt32 {
    loadUnaligned(fromByteOffset: Int(offset), as: UInt32.self).littleEndian
  }
  @inline(__always) func u64(_ offset: some BinaryInteger) -> UInt64 {
    loadUnaligned(fromByteOffset: Int(offset), as: UInt64.self).littleEndian
  }
}

extension UnsafeMutableRawPointer {
  @inline(__always) func put<Value: FixedWidthInteger>(_ value: Value, at offset: some BinaryInteger) {
    storeBytes(of: value.littleEndian, toByteOffset: Int(offset), as: Value.self)
  }
}
