import Checkpoints
import JobStore
import POSIX

extension AdoptedFile {
  /// As the checkpoint's manifest describes it.
  init(_ files: AdoptedFiles) {
    self.init(
      path: files.contents.path, isDirectory: files.contents.kind == .directory,
      modifiedAtNs: Timestamp.nanoseconds(files.contents.modifiedAt) ?? 0, bytes: files.bytes)
  }
}
