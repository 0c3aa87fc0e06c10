import Glibc
import LMDB
import POSIX
import Synchronization
import SystemPackage
import Testing
import TrainerProtocol

@testable import JobStore

/// A temporary state directory, a ring and its trainer's side, for one test.
final class Fixture {
  let directory: FilePath
  let state: FilePath
  private(set) var reader: RingReader
  private(set) var trainer: RingWriter
  private var attempt: UInt64 = 1

  init(state: FilePath? = nil, capacityBytes: Int = 1 << 20) throws {
    var template = Array("/tmp/holdfast-store-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    directory = FilePath(platformString: template)
    self.state = state ?? directory.appending("state")
    (reader, trainer) = try Fixture.ring(directory, attempt: 1, capacityBytes: capacityBytes)
  }

  deinit { try? FileSystem.removeTree(directory) }

  private static func ring(
    _ directory: FilePath, attempt: UInt64, capacityBytes: Int
  ) throws -> (RingReader, RingWriter) {
    let identity = RingIdentity(jobID: JobID(), attempt: attempt, generation: attempt)
    let reader = try RingReader.create(directory: directory, identity: identity, capacityBytes: capacityBytes)
    return (reader, try RingWriter(directory: directory))
  }

  /// A new ring for the next attempt.
  func nextAttempt(capacityBytes: Int = 1 << 20) throws {
    attempt += 1
    (reader, trainer) = try Fixture.ring(directory, attempt: attempt, capacityBytes: capacityBytes)
  }

  /// Writes a step of a trainer whose state is a function of the step.
  @discardableResult
  func step(
    _ step: UInt64, metrics: [Double] = [1.5], rng: UInt64? = nil, sampler: UInt64? = nil,
    batch: UInt64? = nil,
    image: [UInt8] = []
  ) -> Bool {
    let parts = EncodedParts.encode([
      .init(kind: .rng, name: "dropout", bytes: bytes(rng ?? step)),
      .init(kind: .sampler, name: "train", bytes: bytes(sampler ?? step &+ 1)),
    ])
    return metrics.withUnsafeBufferPointer { metrics in
      parts.withUnsafeBytes { parts in
        image.withUnsafeBytes { image in
          trainer.appendSnapshot(
            step: step, epoch: step / 100, batch: batch ?? step % 100, samples: step &* 32,
            timeNanoseconds: step &* 1000, phase: .training, metrics: metrics, parts: parts, partCount: 2,
            image: image)
        }
      }
    }
  }

  private func bytes(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}

/// A store, its writer and all its reports.
final class Desk {
  let store: JobStore
  let writer: StoreWriter
  private let reports: Reports

  final class Reports: Sendable {
    let all = Mutex<[StoreReport]>([])
  }

  convenience init(
    _ fixture: Fixture, limits: StoreLimits = StoreLimits(), lookInterval: Duration = .milliseconds(5),
    commitInterval: Duration = .zero, isWatched: @escaping @Sendable () -> Bool = { false }
  ) throws {
    try self.init(
      JobStore(stateDirectory: fixture.state, .create), limits: limits, lookInterval: lookInterval,
      commitInterval: commitInterval, isWatched: isWatched)
  }

  /// The next supervisor's desk, on a store that stays open.
  convenience init(adopting desk: Desk, limits: StoreLimits = StoreLimits()) throws {
    desk.close()
    try self.init(desk.store, limits: limits)
  }

  private init(
    _ store: JobStore, limits: StoreLimits, lookInterval: Duration = .milliseconds(5),
    commitInterval: Duration = .zero, isWatched: @escaping @Sendable () -> Bool = { false }
  ) throws {
    let reports = Reports()
    self.reports = reports
    self.store = store
    writer = try StoreWriter(
      store, lookInterval: lookInterval, commitInterval: commitInterval, limits: limits, isWatched: isWatched
    ) { report in
      reports.all.withLock { $0.append(report) }
    }
  }

  var environment: Environment {
    guard let environment = store.environment else { preconditionFailure("it is open for writing") }
    return environment
  }

  /// Drains the fixture's ring.
  func drain(_ fixture: Fixture, attempt: UInt64) {
    writer.attach(fixture.reader, attempt: attempt)
    let gate = Gate()
    writer.detach { gate.open() }
    gate.wait()
  }

  func close() { writer.stop() }

  var all: [StoreReport] { reports.all.withLock { $0 } }

  var drained: [Drained] {
    all.compactMap { if case .drained(let drained) = $0 { drained } else { nil } }
  }

  var degradations: [String] {
    all.compactMap { if case .degraded(let why) = $0 { why } else { nil } }
  }

  var replayed: UInt64 { drained.reduce(0) { $0 + $1.audit.replayed } }
  var difference: ReplayAudit.Difference? { drained.lazy.compactMap(\.audit.firstDifference).first }
}
