/// Why an attempt could not be started.
public enum StartFailure: Hashable, Sendable {
  case notFound
  case notExecutable
  case noRoom
  case other(errno: Int32)

  /// Whether the system lacks a resource for the moment, as in errno(3): ENOMEM, EAGAIN, ENFILE, EMFILE.
  var isTransient: Bool {
    guard case .other(let errno) = self else { return false }
    return [12, 11, 23, 24].contains(errno)
  }
}
