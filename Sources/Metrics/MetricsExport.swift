import Glibc
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// What became of serving or writing metrics: told when it changes.
public enum MetricsReport: Sendable {
  case degraded(MetricsError)
  case recovered(MetricsError.Code, String)
}

/// Where metrics go: to whoever asks at an address, and into a file. Threads of its own do both, so that
/// whoever has the facts never waits for a client or a disk.
public final class MetricsExport: Sendable {
  /// Between two versions of the file, at least.
  static let writeInterval = Duration.seconds(5)
  /// After which an address is tried again that could not be listened on.
  static let retryInterval = Duration.seconds(10)

  private let facts = Mutex<JobFacts?>(nil)
  private let report: @Sendable (MetricsReport) -> Void
  private let serverCancellation: WakeUp
  private let writerCancellation: WakeUp
  private let writerEnded: WakeUp
  private let hasFile: Bool

  /// - Parameters:
  ///   - address: where to serve; nil: nowhere.
  ///   - file: an absolute path; nil: none.
  ///   - report: called on threads of this export.
  public init(
    listen address: ListenAddress?, file: FilePath?, report: @escaping @Sendable (MetricsReport) -> Void
  ) throws(POSIXError) {
    self.report = report
    serverCancellation = try WakeUp()
    writerCancellation = try WakeUp()
    writerEnded = try WakeUp()
    hasFile = file != nil
    // Behind the trainer, whose processors these are.
    if let address { try NativeThread.start(niceness: 10) { [self] in serve(address) } }
    if let file { try NativeThread.start(niceness: 10) { [self] in write(file) } }
  }

  /// What is said from now on.
  public func take(_ facts: JobFacts) { self.facts.withLock { $0 = facts } }

  /// The file gets the newest facts, and nobody is served any more.
  /// - Parameter patience: for the file; a disk that hangs is not waited for any longer.
  public func stop(patience: Duration) {
    serverCancellation.signal()
    writerCancellation.signal()
    if hasFile { _ = writerEnded.isSignalled(within: patience) }
  }

  private var text: String {
    facts.withLock { $0 }?.text(nowNs: Clock.wallNanoseconds) ?? ""
  }

  // MARK: The address

  private func serve(_ address: ListenAddress) {
    var isDegraded = false
    repeat {
      do {
        let server = try MetricsServer(address, cancellation: serverCancellation) { [self] in text }
        if isDegraded { report(.recovered(.cannotListen, "metrics are served at \(address)")) }
        try server.run()
        return
      } catch let error as MetricsError {
        if !isDegraded { report(.degraded(error)) }
      } catch {
        report(
          .degraded(
            MetricsError(.cannotListen, "no metrics at \(address): \(error)", hint: "holdfast status")))
      }
      isDegraded = true
    } while !serverCancellation.isSignalled(within: Self.retryInterval)
  }

  // MARK: The file

  private func write(_ file: FilePath) {
    var isDegraded = false
    var isLast = false
    repeat {
      isLast = writerCancellation.isSignalled(within: isLast ? .zero : pause)
      let text = text
      if text.isEmpty { continue }
      do {
        try Self.replace(file, with: Array(text.utf8))
        if isDegraded { report(.recovered(.cannotWrite, "metrics can be written to \(file) again")) }
        isDegraded = false
      } catch {
        let why = String(cString: strerror(error.errno.rawValue))
        if !isDegraded {
          report(
            .degraded(
              MetricsError(
                .cannotWrite, "no metrics in \(file): \(why)", errno: error.errno.rawValue,
                hint: Hint("ls -ld \(file.removingLastComponent())").text)))
        }
        isDegraded = true
      }
    } while !isLast
    writerEnded.signal()
  }

  /// Short until there is something to write.
  private var pause: Duration {
    facts.withLock { $0 == nil } ? .milliseconds(100) : Self.writeInterval
  }

  /// Readable for everybody, whatever the umask: another user's program collects it. It needs not survive
  /// a loss of power.
  static func replace(_ file: FilePath, with bytes: [UInt8]) throws(POSIXError) {
    let aside = FilePath(file.string + ".new")
    do {
      let open = try FileSystem.makeAnew(aside, mode: 0o644)
      try posix("fchmod", aside) { fchmod(open.descriptor, 0o644) }
      try open.write(all: bytes)
    }
    do {
      try FileSystem.rename(aside, to: file)
    } catch {
      // What is in its place cannot be replaced, a directory for one; nothing of ours stays beside it.
      try? FileSystem.remove(aside)
      throw error
    }
  }
}
