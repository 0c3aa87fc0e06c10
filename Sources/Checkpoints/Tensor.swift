import Glibc
import Reporting

/// A dense array in row-major order. It shares the Swift array that it was created from, without a copy.
public struct Tensor: Sendable {
  enum Storage: Sendable {
    case float32([Float])
    case float64([Double])
    case int64([Int64])
    case raw([UInt8])
  }

  public let dtype: DType
  public let shape: [Int]
  let storage: Storage

  private init(_ dtype: DType, _ shape: [Int], byteCount: Int, _ storage: Storage) {
    precondition(
      shape.allSatisfy { $0 >= 0 } && dtype.bytes(of: shape) == byteCount,
      "a tensor of shape \(shape) and type \(dtype.rawValue) does not have \(byteCount) bytes")
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
  }

  /// - Parameter shape: its product is the number of elements; nil for one dimension.
  public init(_ elements: [Float], shape: [Int]? = nil) {
    self.init(.float32, shape ?? [elements.count], byteCount: elements.count * 4, .float32(elements))
  }

  public init(_ elements: [Double], shape: [Int]? = nil) {
    self.init(.float64, shape ?? [elements.count], byteCount: elements.count * 8, .float64(elements))
  }

  public init(_ elements: [Int64], shape: [Int]? = nil) {
    self.init(.int64, shape ?? [elements.count], byteCount: elements.count * 8, .int64(elements))
  }

  /// - Parameter bytes: little-endian elements of `dtype`; packed if they are smaller than a byte.
  public init(dtype: DType, shape: [Int], bytes: [UInt8]) {
    self.init(dtype, shape, byteCount: bytes.count, .raw(bytes))
  }

  public var byteCount: Int {
    switch storage {
    case .float32(let elements): elements.count * 4
    case .float64(let elements): elements.count * 8
    case .int64(let elements): elements.count * 8
    case .raw(let bytes): bytes.count
    }
  }

  /// - Parameters:
  ///   - dtype: required element type; nil for any.
  ///   - shape: required shape; nil for any.
  /// - Throws: `unsupported` with both if the tensor has others.
  public func check(dtype: DType? = nil, shape: [Int]? = nil) throws(CheckpointError) {
    if let dtype, dtype != self.dtype {
      throw CheckpointError(.unsupported, "saved as \(self.dtype.rawValue), expected \(dtype.rawValue)")
    }
    if let shape, shape != self.shape {
      throw CheckpointError(.unsupported, "saved with shape \(self.shape), expected \(shape)")
    }
  }

  /// Calls `body` with the elements' bytes in place.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch storage {
    case .float32(let elements): try elements.withUnsafeBytes(body)
    case .float64(let elements): try elements.withUnsafeBytes(body)
    case .int64(let elements): try elements.withUnsafeBytes(body)
    case .raw(let bytes): try bytes.withUnsafeBytes(body)
    }
  }

  /// The elements of an `F32` tensor.
  public func floats() throws(CheckpointError) -> [Float] {
    if case .float32(let elements) = storage { return elements }
    return try elements(.float32)
  }

  public func doubles() throws(CheckpointError) -> [Double] {
    if case .float64(let elements) = storage { return elements }
    return try elements(.float64)
  }

  public func integers() throws(CheckpointError) -> [Int64] {
    if case .int64(let elements) = storage { return elements }
    return try elements(.int64)
  }

  private func elements<Element>(_ wanted: DType) throws(CheckpointError) -> [Element] {
    guard dtype == wanted else {
      throw CheckpointError(
        .unsupported, "the tensor is \(dtype.rawValue), not \(wanted.rawValue)")
    }
    return withUnsafeBytes { bytes in
      Array(unsafeUninitializedCapacity: bytes.count / wanted.bytes) { buffer, count in
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
        count = bytes.count / wanted.bytes
      }
    }
  }
}

extension Tensor: Equatable {
  /// Same type, same shape, same bits.
  public static func == (a: Tensor, b: Tensor) -> Bool {
    a.dtype == b.dtype && a.shape == b.shape
      && a.withUnsafeBytes { a in
        b.withUnsafeBytes { b in
          guard let first = a.baseAddress, let second = b.baseAddress else { return a.count == b.count }
          return a.count == b.count && memcmp(first, second, a.count) == 0
        }
      }
  }
}
