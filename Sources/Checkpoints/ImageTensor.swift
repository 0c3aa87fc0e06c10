/// A tensor in an image, without its bytes.
public struct ImageTensor: Hashable, Sendable {
  /// Component and key: `model/layers/0/weight`.
  public var name: String
  public var dtype: DType
  public var shape: [Int]
  /// Relative to the end of the header.
  public var range: Range<Int>

  /// The component, from the name.
  public var component: String {
    let first = name.utf8.prefix { $0 != UInt8(ascii: "/") }
    return ImageWriter.unescape(String(decoding: first, as: UTF8.self))
  }
}
