import Reporting

/// The weights of an image as an image of their own: the components that consist of tensors alone, such as a model. It
/// is not in memory as a whole: it is its header and then pieces of the whole image.
struct WeightsImage {
  /// With its length before it.
  let header: [UInt8]
  /// Of the whole image, in their order here.
  let pieces: [Range<Int>]
  let byteCount: Int

  /// What is known of a component.
  private struct Component {
    var tensors: Set<String> = []
    var hasOthers = false
  }

  private final class Components {
    var named: [String: Component] = [:]
  }

  /// - Parameter image: the whole one.
  /// - Throws: `damaged`; `missing`: no component consists of tensors alone.
  init(_ image: UnsafeRawBufferPointer) throws(CheckpointError) {
    // Checks that all tensors are within the image.
    let whole = try ImageHeader(image)
    let contents = try ImageContents(image)
    let components = Components()
    try contents.walk { _ in
    } leaf: { leaf in
      if case .tensor(let name, _) = leaf.content {
        components.named[leaf.component, default: Component()].tensors.insert(name)
      } else {
        components.named[leaf.component, default: Component()].hasOthers = true
      }
    }
    let weights = components.named.filter { !$0.value.hasOthers }
    guard !weights.isEmpty else {
      throw CheckpointError(
        .missing, "no component of the state consists of tensors alone, such as a model",
        hint: "register the model as a component of its own")
    }
    let names = weights.values.reduce(into: Set()) { $0.formUnion($1.tensors) }
    // In their order, which keeps them aligned.
    let entries = whole.entries.filter { names.contains($0.name) }
    var state = JSONText()
    try contents.texts { component, text in
      guard weights[component] != nil else { return }
      state.raw(state.bytes.isEmpty ? "{" : ",")
      state.string(component)
      state.raw(":")
      state.raw(String(decoding: text, as: UTF8.self))
    }
    state.raw("}")
    header = Self.header(loop: contents.loop, state: state, entries)
    pieces = Self.pieces(entries, from: contents.dataStart)
    byteCount = header.count + pieces.reduce(0) { $0 + $1.count }
  }

  private static func header(loop: ImageLoop, state: JSONText, _ entries: [ImageHeader.Entry]) -> [UInt8] {
    var position = loop
    // Random streams and samplers are for an attempt that starts from it.
    position.parts = []
    var header = SafetensorsHeader(loop: position, state: state)
    for entry in entries { header.add(entry.name, entry.dtype, entry.shape, byteCount: entry.range.count) }
    return header.end()
  }

  /// Neighbours are one piece.
  private static func pieces(_ entries: [ImageHeader.Entry], from dataStart: Int) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    for entry in entries {
      let (lower, upper) = (dataStart + entry.range.lowerBound, dataStart + entry.range.upperBound)
      if let last = pieces.last, last.upperBound == lower {
        pieces[pieces.count - 1] = last.lowerBound..<upper
      } else {
        pieces.append(lower..<upper)
      }
    }
    return pieces
  }

  /// Calls `body` with successive chunks of `chunkBytes`, and a last one that may be smaller.
  /// - Parameters:
  ///   - image: the whole one.
  ///   - chunkBytes: a multiple of 4096. Chunks are aligned to that.
  func chunks<Failure: Error>(
    of image: UnsafeRawBufferPointer, _ chunkBytes: Int,
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 4096)
    defer { buffer.deallocate() }
    var used = 0
    func add(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
      var offset = 0
      while offset < bytes.count {
        let count = min(bytes.count - offset, chunkBytes - used)
        UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + count])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
        offset += count
        used += count
        guard used == chunkBytes else { continue }
        try body(UnsafeRawBufferPointer(buffer))
        used = 0
      }
    }
    let first = UnsafeMutableRawBufferPointer.allocate(byteCount: header.count, alignment: 8)
    defer { first.deallocate() }
    first.copyBytes(from: header)
    try add(UnsafeRawBufferPointer(first))
    for piece in pieces { try add(UnsafeRawBufferPointer(rebasing: image[piece])) }
    if used > 0 { try body(UnsafeRawBufferPointer(rebasing: buffer[..<used])) }
  }
}
