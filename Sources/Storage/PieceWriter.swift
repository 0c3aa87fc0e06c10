import Glibc
import POSIX
import Reporting
import SystemPackage

/// Writes the bytes of a piece into a file.
final class PieceWriter {
  private let file: OpenFile
  private let piece: Piece
  private(set) var written = 0

  init(_ file: OpenFile, _ piece: Piece) {
    self.file = file
    self.piece = piece
  }

  /// - Throws: `damaged` if there are more bytes than the piece has.
  func write(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    guard written + bytes.count <= piece.bytes else {
      throw StorageError(.damaged, "\(piece.object): more than the \(piece.bytes) bytes that are listed")
    }
    var rest = bytes
    do throws(POSIXError) {
      while !rest.isEmpty {
        let count = try posix("write", file.path) {
          pwrite(file.descriptor, rest.baseAddress, rest.count, off_t(piece.offset + written))
        }
        written += count
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      }
    } catch {
      throw StorageError("cannot store the checkpoint", error)
    }
  }

  /// - Throws: `missing` or `damaged` if there were fewer bytes.
  func finish() throws(StorageError) {
    guard written == piece.bytes else {
      throw StorageError(
        written == 0 ? .missing : .damaged, "\(piece.object): \(written) of \(piece.bytes) bytes")
    }
  }
}
