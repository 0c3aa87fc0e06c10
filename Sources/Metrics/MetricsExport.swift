import Glibc
import POSIX
import Reporting
import Synchronization
public import SystemPackage

/// Serves metrics at an address and writes them to a file. Its own threads do both, so that the caller never
/// waits for a client or a disk.
public final class MetricsExport: Sendable {
  /// Minimum time between two versions of the file.
  static let writeInterval = Duration.seconds(5)
  /// Time until a failed listen is retried.
  static let retryInterval = Duration.seconds(10)

  private let facts = Mutex<JobFacts?>(nil)
  private let report: @Sendable (MetricsReport) -> Void
  private let serverCancellation: WakeUp
  private let writerCancellation: WakeUp
  private let writerEnded: WakeUp
  private let hasFile: Bool

  /// - Parameters:
  ///   - address: nil: not served.
  ///   - file: an absolute path; nil: not written.
  ///   - report: called on threads of this export.
  public init(
    listen address: ListenAddress?, file: FilePath?, report: @escaping @Sendable (MetricsReport) -> Void
  ) throws(POSIXError) {
    self.report = report
    serverCancellation = try WakeUp()
    writerCancellation = try WakeUp()
    writerEnded = try WakeUp()
    hasFile = file != nil
    // Nice: the processors are for the trainer.
    if let address { try NativeThread.start(niceness: 10) { [self] in serve(address) } }
    if let file { try NativeThread.start(niceness: 10) { [self] in write(file) } }
  }

  /// Replaces the published facts.
  public func publish(_ facts: JobFacts) { self.facts.withLock { $0 = facts } }

  /// Stops serving and writes the newest facts to the file.
  /// - Parameter timeout: for the file, in case the disk hangs.
  public func stop(timeout: Duration) {
    serverCancellation.signal()
    writerCancellation.signal()
    if hasFile { _ = writerEnded.isSignalled(within: timeout) }
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
        if isDegraded { report(.recovered(.cannotListen, "serving metrics at \(address)")) }
        try server.run()
        return
      } catch let error as MetricsError {
        if !isDegraded { report(.degraded(error)) }
      } catch {
        report(
          .degraded(
            MetricsError(
              .cannotListen, "cannot serve metrics at \(address)", why: "\(error)", hint: "holdfast status")))
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
        if isDegraded { report(.recovered(.cannotWrite, "writing metrics to \(file) again")) }
        isDegraded = false
      } catch {
        if !isDegraded {
          report(
            .degraded(
              MetricsError(
                .cannotWrite, "cannot write metrics to \(file)", errno: error.errno,
                hint: "ls -ld \(file.removingLastComponent())")))
        }
        isDegraded = true
      }
    } while !isLast
    writerEnded.signal()
  }

  /// Short until the first facts arrive.
  private var pause: Duration {
    facts.withLock { $0 == nil } ? .milliseconds(100) : Self.writeInterval
  }

  /// World-readable regardless of the umask, as another user's program collects it. It need not survive a power
  /// loss.
  static func replace(_ file: FilePath, with bytes: [UInt8]) throws(POSIXError) {
    let aside = FilePath(file.string + ".new")
    do {
      let open = try FileSystem.createReplacing(aside, mode: 0o644)
      try posix("fchmod", aside) { fchmod(open.descriptor, 0o644) }
      try open.write(all: bytes)
    }
    do {
      try FileSystem.rename(aside, to: file)
    } catch {
      // Something that cannot be replaced, such as a directory, has its name. Leave no temporary file.
      try? FileSystem.remove(aside)
      throw error
    }
  }
}
