import Glibc
import POSIX
import SystemPackage

/// Looks, on a thread of its own since the disk may hang, whether the state directory is still where it was:
/// somebody may move or remove it under a live job, or put another in its place.
final class StateWatch: Sendable {
  /// Between two looks.
  private static let interval = Duration.milliseconds(500)

  private let directory: OpenFile
  private let cancellation: WakeUp

  /// - Parameters:
  ///   - directory: as it was opened before anything was written.
  ///   - report: called on the watch's thread when it changes; nil: all is in its place.
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

  /// What became of the directory that the path led to when it was opened; nil: it does still.
  var displacement: Displacement? {
    if (try? isStillNamed()) == true { return nil }
    // A directory that is open and has no name any more; one of a server that forgot it cannot be asked.
    return ((try? status().st_nlink) ?? 0) == 0 ? .removed : .moved
  }
}
