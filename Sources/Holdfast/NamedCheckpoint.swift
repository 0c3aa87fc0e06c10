import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// A checkpoint that the user names: its directory, which is verified first, or a `.safetensors` file of one.
struct NamedCheckpoint {
  let path: FilePath

  func read() throws(HoldfastError) -> (image: ImageReader, manifest: Manifest?) {
    if path.isURL { throw Self.isURL(path, .cannotRestore) }
    do throws(CheckpointError) {
      // The user's path may be a link.
      if FileKind.of(path, followsLink: true) == .directory {
        return try directory(FileSystem.canonical(path) ?? path)
      }
      return try file()
    } catch {
      throw HoldfastError(
        .cannotRestore, "cannot load the checkpoint: \(error.what)", path: error.path ?? path, why: error.why,
        errno: error.errno, hint: error.hint ?? "holdfast checkpoints list shows all checkpoints")
    }
  }

  private func directory(_ path: FilePath) throws(CheckpointError) -> (ImageReader, Manifest?) {
    let loaded = try LocalCheckpoints.load(at: path, thorough: true)
    let image = try loaded.withImage { bytes throws(CheckpointError) in try ImageReader(bytes) }
    guard loaded.isIntact else {
      throw CheckpointError(.damaged, "it was truncated while it was read", path: path)
    }
    return (image, loaded.manifest)
  }

  private func file() throws(CheckpointError) -> (ImageReader, Manifest?) {
    let mapping: MappedFile
    do throws(POSIXError) {
      let file = try OpenFile(path, .readOnly, followsLink: true)
      let size = try file.size()
      guard size > 0 else { throw POSIXError("read", path: path, errno: .invalidArgument) }
      mapping = try MappedFile(file, count: size, access: .readOnly)
    } catch {
      throw CheckpointError(
        error.errno == .noSuchFileOrDirectory ? .missing : .io, "no such checkpoint", path: path,
        why: error.reason)
    }
    let image = try ImageReader(mapping.bytes)
    guard mapping.isIntact else {
      throw CheckpointError(.damaged, "it was truncated while it was read", path: path)
    }
    guard path.lastComponent?.string == LocalCheckpoints.stateName else { return (image, nil) }
    let manifest = try? FileSystem.read(path.removingLastComponent().appending(LocalCheckpoints.manifestName))
    return (image, manifest.flatMap(Manifest.decode))
  }

  static func isURL(_ path: FilePath, _ code: HoldfastErrorCode) -> HoldfastError {
    HoldfastError(
      code, "this is a URL, and checkpoints are saved and loaded on this machine only", path: path,
      hint: "name a directory; copy a checkpoint's whole directory to or from remote storage")
  }
}
