import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// The directory of a published checkpoint, which is to be stored.
struct CheckpointSource: Sendable {
  let directory: FilePath
  /// Sizes by name.
  let files: [String: Int]

  /// - Throws: `unsupported` for anything but regular files with valid names.
  init(_ directory: FilePath) throws(StorageError) {
    self.directory = directory
    var files: [String: Int] = [:]
    do throws(POSIXError) {
      for name in try FileSystem.list(directory) {
        guard LocalCheckpoints.isValid(name), Piece.Part(name) == nil else {
          files[name] = -1
          continue
        }
        files[name] = try OpenFile(directory.appending(name), .readOnly).size()
      }
    } catch {
      throw StorageError("cannot read the checkpoint", error)
    }
    if let invalid = files.first(where: { $0.value < 0 })?.key {
      throw StorageError(
        .unsupported, "the checkpoint has a file with a name that cannot be stored: '\(invalid)'",
        path: directory, hint: "use letters, digits, '-', '_', '.', '=', and not '.part-N-of-N'")
    }
    guard files[LocalCheckpoints.manifestName] != nil else {
      throw StorageError(.damaged, "\(LocalCheckpoints.manifestName): missing", path: directory)
    }
    self.files = files
  }

  var bytes: Int { files.values.reduce(0, +) }

  /// The larger ones first; the manifest, which completes a checkpoint, is last.
  func pieces(partBytes: Int) throws(StorageError) -> [Piece] {
    let order = files.sorted { one, other in
      let (oneIsLast, otherIsLast) = (
        one.key == LocalCheckpoints.manifestName, other.key == LocalCheckpoints.manifestName
      )
      if oneIsLast != otherIsLast { return otherIsLast }
      return (-one.value, one.key) < (-other.value, other.key)
    }
    if let largest = order.first?.value, (largest + partBytes - 1) / partBytes > Piece.Part.mostParts {
      throw StorageError(
        .unsupported, "a file of \(largest) bytes has too many parts of \(partBytes) bytes", path: directory)
    }
    return order.flatMap { name, bytes in
      // The manifest is written at once.
      Piece.pieces(
        of: name, bytes: bytes, partBytes: name == LocalCheckpoints.manifestName ? max(1, bytes) : partBytes)
    }
  }

  /// The verdict of reading all of it, computed on another thread.
  func verdict(isCancelled: @escaping Transfer.Cancellation) throws(StorageError) -> BackgroundValue<Verdict>
  {
    let name = directory.lastComponent?.string ?? ""
    do throws(POSIXError) {
      return try BackgroundValue { [directory] in
        LocalCheckpoints.verify(directory, named: name, thorough: true, isCancelled: isCancelled)
      }
    } catch {
      throw StorageError("cannot verify the checkpoint", error)
    }
  }
}
