import Checkpoints
import Glibc
import POSIX
import Reporting
import SystemPackage

/// Reads the bytes of a piece from a file.
final class PieceReader {
  private let file: OpenFile
  private var offset: Int
  private let end: Int

  init(_ path: FilePath, _ piece: Piece) throws(StorageError) {
    do throws(POSIXError) {
      file = try OpenFile(path, .readOnly)
    } catch {
      throw StorageError("cannot read the checkpoint", error)
    }
    offset = piece.offset
    end = piece.offset + piece.bytes
  }

  /// - Returns: 0 at the end.
  /// - Throws: `damaged` if the file is shorter.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
    let wanted = min(buffer.count, end - offset)
    guard wanted > 0 else { return 0 }
    do throws(POSIXError) {
      let count = try posix("read", file.path) {
        pread(file.descriptor, buffer.baseAddress, wanted, off_t(offset))
      }
      offset += count
      if count > 0 { return count }
    } catch {
      throw StorageError("cannot read the checkpoint", error)
    }
    throw StorageError(.damaged, "truncated while it was read", path: file.path)
  }

  /// The hash of the rest.
  /// - Returns: nil if the algorithm is not available.
  func hash(
    _ algorithm: ContentHash.Algorithm, _ isCancelled: () -> Bool
  ) throws(StorageError) -> String? {
    guard let hash = ContentHash(algorithm) else { return nil }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    while true {
      if isCancelled() { throw .cancelled }
      let count = try read(into: chunk)
      if count == 0 { return hash.finish() }
      hash.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
    }
  }
}
