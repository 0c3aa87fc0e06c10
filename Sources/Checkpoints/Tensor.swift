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

  private init(_ dtype: DType, _ shape: [Int]?, count: Int, _ storage: Storage) {
    let shape = shape ?? [count]
    precondition(
      shape.allSatisfy { $0 >= 0 } && shape.reduce(1, *) == count,
      "shape \(shape) does not have \(count) elements")
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
  }

  /// - Parameter shape: its product is the number of elements; nil for one dimension.
  public init(_ elements: [Float], shape: [Int]? = nil) {
    self.init(.float32, shape, count: elements.count, .float32(elements))
  }

  public init(_ elements: [Double], shape: [Int]? = nil) {
    self.init(.float64, shape, count: elements.count, .float64(elements))
  }

  public init(_ elements: [Int64], shape: [Int]? = nil) {
    self.init(.int64, shape, count: elements.count, .int64(elements))
  }

  /// - Parameter bytes: little-endian elements of `dtype`.
  public init(dtype: DType, shape: [Int], bytes: [UInt8]) {
    precondition(bytes.count % dtype.bytes == 0)
    self.init(dtype, shape, count: bytes.count / dtype.bytes, .raw(bytes))
  }

  public var byteCount: Int { shape.reduce(dtype.bytes, *) }

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
