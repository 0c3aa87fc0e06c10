import POSIX
import SystemPackage

/// Listens for notices from its creation until it is stopped or deallocated.
public final class PreemptionWatch: Sendable {
  /// The cloud that is polled, if any.
  public let cloud: Cloud?
  private let endpoint: Endpoint?
  private let program: ProgramWatch?
  private let cancellation: WakeUp

  /// - Parameters:
  ///   - environment: `NAME=value`; overrides endpoints, and is passed to a program.
  ///   - report: called on threads of this watch.
  /// - Throws: `PreemptionError` for an invalid endpoint, `POSIXError`.
  public init(
    _ source: PreemptionSource, environment: [String], report: @escaping @Sendable (NoticeReport) -> Void
  ) throws {
    let cancellation = try WakeUp()
    self.cancellation = cancellation
    if case .command(let command) = source {
      let program = ProgramWatch(
        command, environment: environment, cancellation: cancellation, report: report)
      self.program = program
      (cloud, endpoint) = (nil, nil)
      try NativeThread.start { program.run() }
      return
    }
    program = nil
    var isNamed = true
    switch source {
    case .cloud(let named): cloud = named
    case .auto:
      cloud = Cloud.detect(firmware: Self.firmware())
      isNamed = false
    case .off, .command: cloud = nil
    }
    guard let cloud else {
      endpoint = nil
      return
    }
    let endpoint = try cloud.endpoint(Self.dictionary(environment))
    self.endpoint = endpoint
    let watch = CloudWatch(
      endpoint: endpoint, transport: HTTPClient(cancellation: cancellation), cancellation: cancellation,
      report: report)
    for conversation in cloud.conversations() {
      try NativeThread.start { [isNamed] in watch.run(conversation, isNamed: isNamed) }
    }
  }

  deinit { stop() }

  /// Stops reporting, except for reports in progress, and kills the program.
  public func stop() {
    cancellation.signal()
    program?.kill()
  }

  /// Lets the source start `event` at once.
  /// - Parameter timeout: for the response; connecting may take some seconds more.
  public func acknowledge(event: String, timeout: Duration) throws(PreemptionError) {
    guard cloud == .azure, let endpoint, let request = AzureConversation.acknowledgement(of: event) else {
      return
    }
    let response = try HTTPClient(cancellation: cancellation).send(request, to: endpoint, timeout: timeout)
    guard response.status == 200 else {
      throw PreemptionError(answer: "Azure's metadata server returned status \(response.status)")
    }
  }

  private static func firmware() -> [String: String] {
    var contents: [String: String] = [:]
    for name in Cloud.firmwareFiles {
      // Missing in containers, on some processors and in some virtual machines.
      guard let bytes = try? FileSystem.read(FilePath("/sys/class/dmi/id/\(name)")) else { continue }
      contents[name] = HTTPResponse(status: 0, body: bytes).text
    }
    return contents
  }

  private static func dictionary(_ environment: [String]) -> [String: String] {
    var values: [String: String] = [:]
    for entry in environment {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
    }
    return values
  }
}
