import Glibc
import POSIX
import SystemPackage

/// Detects that the state directory is moved, removed or replaced while the job runs. Uses a separate thread, since
/// the disk may hang.
final class StateWatch: Sendable {
  /// Between two checks.
  private static let interval = Duration.milliseconds(500)

  private let directory: OpenFile
  private let cancellation: WakeUp

  /// - Parameters:
  ///   - directory: opened before anything was written.
  ///   - report: called on the watch's thread when the result changes; nil: in place.
  init(_ directory: OpenFile, report: @escaping @Sendable (String?) -> Void) throws(POSIXError) {
    self.directory = directory
    cancellation = try WakeUp()
    try NativeThread.start { [self] in
      var last: String?
      repeat {
        let news = displacement
        if news != last { report(news) }
        last = news
      } while !cancellation.isSignalled(within: Self.interval)
    }
  }

  func stop() { cancellation.signal() }

  private var displacement: String? {
    guard let how = directory.displacement else { return nil }
    return
      "the state directory \(directory.path) was \(how.words): nothing more can be made durable there, and "
      + "nothing is written to a replacement; the trainer keeps running"
  }
}

extension OpenFile {
  enum Displacement {
    case moved, removed

    var words: String {
      switch self {
      case .moved: "moved away; move it back"
      case .removed: "removed"
      }
    }
  }

  /// Whether the path no longer leads to this directory, and why; nil: it does.
  var displacement: Displacement? {
    if (try? isStillNamed()) == true { return nil }
    // A removed directory has no links. On a network file system that lost it, fstat(2) fails.
    return ((try? status().st_nlink) ?? 0) == 0 ? .removed : .moved
  }
}
