public import Reporting

/// What an image contains, without the bytes of its tensors. They are read one by one: the memory that this needs is
/// that of the tree's text, which the format limits to 100 MB.
public struct ImageContents {
  public let loop: ImageLoop
  /// Offset of the tensors' bytes in the image.
  public let dataStart: Int
  private let header: UnsafeRawBufferPointer
  private let state: [UInt8]

  /// - Parameter image: valid as long as this value is used.
  /// - Throws: `damaged`.
  public init(_ image: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard image.count >= 8 else { throw .damaged("\(image.count) bytes are too few for an image") }
    let length = UInt64(littleEndian: image.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(min(ImageHeader.largest, image.count - 8)) else {
      throw .damaged("its header of \(length) bytes is too long or truncated")
    }
    dataStart = 8 + Int(length)
    header = UnsafeRawBufferPointer(rebasing: image[8..<dataStart])
    var metadata: [String: String] = [:]
    try Self.read(header) { cursor throws(JSONValue.Malformed) in
      try cursor.members { name, cursor throws(JSONValue.Malformed) in
        guard name == "__metadata__" else { return try cursor.skip() }
        try cursor.members { key, cursor throws(JSONValue.Malformed) in
          guard [ImageWriter.loopKey, ImageWriter.stateKey].contains(key) else { return try cursor.skip() }
          metadata[key] = try cursor.value().string
        }
      }
    }
    guard let loopText = metadata[ImageWriter.loopKey], let stateText = metadata[ImageWriter.stateKey] else {
      throw .damaged("it has no '\(ImageWriter.stateKey)': written by another program")
    }
    guard let document = try? JSONValue(parsing: loopText), let loop = ImageLoop(document) else {
      throw .damaged("it has no loop state")
    }
    self.loop = loop
    state = Array(stateText.utf8)
  }

  private static func read(
    _ bytes: UnsafeRawBufferPointer, _ body: (inout JSONCursor) throws(JSONValue.Malformed) -> Void
  ) throws(CheckpointError) {
    var cursor = JSONCursor(bytes)
    do throws(JSONValue.Malformed) {
      try body(&cursor)
      try cursor.end()
    } catch {
      throw .damaged("it is not JSON: \(error.what) (byte \(error.offset))")
    }
  }

  /// Calls `body` with each tensor, in the order of the header.
  public func tensors(_ body: (ImageTensor) -> Void) throws(CheckpointError) {
    var failure: CheckpointError?
    try Self.read(header) { cursor throws(JSONValue.Malformed) in
      try cursor.members { name, cursor throws(JSONValue.Malformed) in
        guard name != "__metadata__", failure == nil else { return try cursor.skip() }
        let value = try cursor.value()
        do throws(CheckpointError) {
          let entry = try ImageHeader.entry(name, value)
          body(ImageTensor(name: name, dtype: entry.dtype, shape: entry.shape, range: entry.range))
        } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
  }

  /// Calls `body` with the name of each component and the JSON text of its state, valid during the call.
  func texts(_ body: (_ component: String, UnsafeRawBufferPointer) -> Void) throws(CheckpointError) {
    let failure = state.withUnsafeBytes { bytes -> CheckpointError? in
      do throws(CheckpointError) {
        try Self.read(bytes) { cursor throws(JSONValue.Malformed) in
          try cursor.members { name, cursor throws(JSONValue.Malformed) in
            body(name, try cursor.skippedBytes())
          }
        }
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// Calls `component` with the name of each component, and then `leaf` with each value of its state.
  public func walk(
    component: (String) -> Void, leaf: @escaping (StateLeaf) -> Void
  ) throws(CheckpointError) {
    // `withUnsafeBytes` rethrows any error, not only its type.
    let failure = state.withUnsafeBytes { bytes -> CheckpointError? in
      do throws(CheckpointError) {
        try Self.read(bytes) { cursor throws(JSONValue.Malformed) in
          try cursor.members { name, cursor throws(JSONValue.Malformed) in
            component(name)
            let walk = StateWalk(component: name, leaf: leaf)
            try walk.value(&cursor, ImageWriter.escape(name))
          }
        }
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }
}
