import Glibc
import POSIX
import Reporting
public import SystemPackage
import TrainerProtocol

/// The tensors of a checkpoint as a plain safetensors file, which any program can open: a tensor that several values
/// share is written for each of them, and elements have the type that the program used, if safetensors has it.
public struct TensorExport {
  private struct Entry {
    var name: String
    var dtype: DType
    var shape: [Int]
    /// In the image.
    var range: Range<Int>
  }

  private let image: UnsafeRawBufferPointer
  private var entries: [Entry] = []
  /// Size of all tensors.
  public private(set) var tensorBytes = 0
  public var count: Int { entries.count }

  /// - Parameters:
  ///   - image: valid as long as this value is used.
  ///   - weightsOnly: only components that consist of tensors alone. If there is one, its name is left out, so that
  ///     the names are those of the component.
  /// - Throws: `damaged`; `missing` if there is nothing to export.
  public init(_ image: UnsafeRawBufferPointer, weightsOnly: Bool) throws(CheckpointError) {
    self.image = image
    // Checks that all tensors are within the image.
    _ = try ImageHeader(image)
    let contents = try ImageContents(image)
    var tensors: [String: ImageTensor] = [:]
    try contents.tensors { tensors[$0.name] = $0 }
    var leaves: [(component: String, path: String, name: String, type: String?)] = []
    var others: Set<String> = []
    try contents.walk { _ in
    } leaf: { leaf in
      if case .tensor(let name, let type) = leaf.content {
        leaves.append((leaf.component, leaf.path, name, type))
      } else {
        others.insert(leaf.component)
      }
    }
    if weightsOnly { leaves.removeAll { others.contains($0.component) } }
    let components = Set(leaves.map(\.component))
    guard !leaves.isEmpty else {
      throw CheckpointError(
        .missing, weightsOnly ? "no component contains only tensors" : "the checkpoint has no tensors",
        hint: weightsOnly ? "export it without --weights-only" : nil)
    }
    let prefix = weightsOnly && components.count == 1 ? ImageWriter.escape(leaves[0].component) + "/" : ""
    var seen: Set<String> = []
    var names: Set<String> = []
    for leaf in leaves {
      guard let tensor = tensors[leaf.name] else { throw .damaged("tensor '\(leaf.name)' is missing") }
      // A tensor is named after the first value that shares it.
      let isOwn = seen.insert(leaf.name).inserted && tensor.component == leaf.component
      let name = Self.name(isOwn ? leaf.name : leaf.path, without: prefix)
      guard names.insert(name).inserted else { continue }
      let start = contents.dataStart + tensor.range.lowerBound
      entries.append(
        Self.retyped(
          Entry(
            name: name, dtype: tensor.dtype, shape: tensor.shape, range: start..<start + tensor.range.count),
          leaf.type))
    }
    tensorBytes = entries.reduce(0) { $0 &+ $1.range.count }
    // Larger elements first: this aligns every tensor.
    entries.sort { ($1.dtype.bytes, $0.name) < ($0.dtype.bytes, $1.name) }
  }

  private static func name(_ path: String, without prefix: String) -> String {
    guard !prefix.isEmpty, path.utf8.starts(with: prefix.utf8) else { return path }
    let rest = String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    // A single key; in a path of several, slashes of keys stay escaped.
    return rest.utf8.contains(UInt8(ascii: "/")) ? rest : ImageWriter.unescape(rest)
  }

  /// By the names in torch and numpy.
  private static let types: [String: DType] = [
    "complex64": .complex64, "float8_e8m0fnu": .float8E8M0, "float8_e4m3fnuz": .float8E4M3FNUZ,
    "float8_e5m2fnuz": .float8E5M2FNUZ, "float4_e2m1fn_x2": .float4,
  ]

  private static func retyped(_ entry: Entry, _ type: String?) -> Entry {
    guard let type, let dtype = types[type] else { return entry }
    var entry = entry
    entry.dtype = dtype
    switch dtype {
    // Stored as pairs of reals.
    case .complex64: entry.shape.removeLast()
    // torch counts pairs.
    case .float4:
      guard let last = entry.shape.popLast() else { return entry }
      entry.shape.append(last * 2)
    default: break
    }
    return dtype.bytes(of: entry.shape) == entry.range.count ? entry : entry
  }

  // MARK: Writing

  private func header(_ metadata: [String: String]) -> [UInt8] {
    var header = SafetensorsHeader { JSONValue.object(metadata.mapValues(JSONValue.string)).write(to: &$0) }
    for entry in entries {
      // The only name that the format reserves.
      let name = entry.name == "__metadata__" ? "__metadata__/" : entry.name
      header.add(name, entry.dtype, entry.shape, byteCount: entry.range.count)
    }
    return header.end()
  }

  private static let chunkBytes = 8 << 20

  /// Writes a temporary file beside `path`, fsyncs and renames it.
  /// - Parameters:
  ///   - metadata: of the file.
  ///   - replacing: whether to replace an existing file.
  ///   - isIntact: called after the image was read; whether it was never truncated.
  /// - Returns: the file's size.
  /// - Throws: `exists`, `noRoom`, `io`, `damaged`. Nothing is left behind, and an existing file is unchanged.
  public func write(
    to path: FilePath, metadata: [String: String], replacing: Bool, isIntact: () -> Bool
  ) throws(CheckpointError) -> Int {
    let header = header(metadata)
    let name = path.lastComponent?.string ?? ""
    let aside = path.removingLastComponent().appending(".\(name.prefix(60)).\(CutID().hexadecimal)")
    defer { try? FileSystem.remove(aside) }
    do throws(POSIXError) {
      if !replacing, FileKind.of(path) != nil { throw POSIXError("open", path: path, errno: .fileExists) }
      if FileKind.of(path) == .directory { throw POSIXError("rename", path: path, errno: .isDirectory) }
      let file = try OpenFile(aside, .writeOnly, create: .always(mode: 0o666))
      try file.allocate(bytes: header.count + tensorBytes)
      try file.write(all: header)
      for entry in entries {
        var offset = entry.range.lowerBound
        while offset < entry.range.upperBound {
          let end = min(offset + Self.chunkBytes, entry.range.upperBound)
          try file.write(UnsafeRawBufferPointer(rebasing: image[offset..<end]))
          offset = end
        }
      }
      try file.synchronize()
    } catch {
      throw Self.failure(error, path)
    }
    guard isIntact() else { throw CheckpointError(.damaged, "the state was truncated while it was read") }
    do throws(POSIXError) {
      if replacing { try FileSystem.rename(aside, to: path) } else { try FileSystem.renameToNew(aside, path) }
      try FileSystem.synchronizeDirectory(path.removingLastComponent())
    } catch {
      throw Self.failure(error, path)
    }
    return header.count + tensorBytes
  }

  private static func failure(_ error: POSIXError, _ path: FilePath) -> CheckpointError {
    if error.errno == .fileExists { return CheckpointError(.exists, "the file already exists", path: path) }
    let code: CheckpointErrorCode = error.errno.isNoRoom ? .noRoom : .io
    return CheckpointError(
      code, "cannot write the file", path: path, errno: error.errno,
      hint: "df \(path.removingLastComponent())  check the directory and its free space")
  }
}
