import Glibc
import Holdfast
import POSIX
import Reporting
import SystemPackage

/// A trainer whose records are well-formed and whose numbers are absurd. It says them, makes
/// `said` in the run directory, and lives on until it is killed.
enum AbsurdTrainer {
  static let most = UInt64.max

  static func run(_ kind: String) throws {
    guard let path = getenv(RunEnvironment.runDirectory) else { return }
    let directory = FilePath(platformString: path)
    let ring = try RingWriter(directory: directory)
    ring.setAttached(pid: getpid())
    if kind == "absurd-text" { return hostile(ring) }
    attach(ring, kind)
    if kind == "absurd-order" { snapshot(ring, step: 0, time: 0) }
    // Two at least, with time between them: a rate needs both.
    snapshot(ring, step: 1, time: Clock.wallNanoseconds - 1_000_000_000)
    snapshot(ring, step: 2, time: Clock.wallNanoseconds)
    switch kind {
    case "absurd-steps":
      snapshot(ring, step: most - 1, time: most - 1)
      snapshot(ring, step: most, time: most)
    case "absurd-order":
      for step in [5, 3, most, 0, 4, 1 << 63, 2] as [UInt64] { snapshot(ring, step: step, time: step) }
    case "absurd-metrics": metrics(ring)
    case "absurd-answers": answers(ring)
    case "absurd-failure":
      let text = String(repeating: "\u{1b}[31m\u{0}\u{202e}", count: 10_000)
      say(ring, .failure, JSON.encode(Failure(type: text, message: text, traceback: text)))
    default: break
    }
    try FileSystem.replace(directory.appending("said"), with: [], durable: false)
    if kind == "absurd-cold" { return try stageColdly(ring, directory) }
    while true {
      ring.beat()
      // Its records of answers are lost, as in a full ring; only the header has them.
      if kind == "absurd-unrecorded", let request = ring.pendingRequest() {
        ring.acknowledge(request, .missed)
      }
      usleep(10_000)
    }
  }

  /// Answers as a trainer whose copies wait for the pages of the slots, and makes `asked` at the third request.
  private static func stageColdly(_ ring: RingWriter, _ directory: FilePath) throws {
    var step: UInt64 = 2
    var asked = 0
    while true {
      step += 1
      snapshot(ring, step: step, time: Clock.wallNanoseconds)
      ring.beat()
      if let request = ring.pendingRequest() {
        let hour: UInt64 = 3_600_000_000_000
        let answer = Staged(
          requestSequence: request.sequence, step: step, cutID: request.cutID, slot: request.slot,
          outcome: .staged, stallNanoseconds: hour, preparationNanoseconds: hour - 1_000_000)
        say(ring, .staged, answer)
        ring.acknowledge(request, .staged)
        asked += 1
        if asked == 3 { try FileSystem.replace(directory.appending("asked"), with: [], durable: false) }
      }
      usleep(10_000)
    }
  }

  /// What a terminal, a log or a reader would take for something else.
  static let hostileText = "x\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2066}\u{2028}\u{0}\r\n  Degraded: forged\n\tz"

  private static func hostile(_ ring: RingWriter) {
    let text = hostileText
    let attached = Attached(
      pid: getpid(), library: text, totalSteps: 2, totalEpochs: 1, batchesPerEpoch: 2,
      hyperparameters: [text: .string(text)])
    say(ring, .attached, JSON.encode(attached))
    say(ring, .metricNames, JSON.encode([text, "loss\(text)"]))
    for step in [1, 2] as [UInt64] {
      snapshot(ring, step: step, time: Clock.wallNanoseconds, metrics: [1, 2])
    }
    say(ring, .failure, JSON.encode(Failure(type: "E\(text)", message: text, traceback: "T\(text)")))
    exit(3)
  }

  private static func attach(_ ring: RingWriter, _ kind: String) {
    let count: UInt64 = kind == "absurd-order" ? 0 : most
    let name = String(repeating: "n", count: kind == "absurd-metrics" ? 100_000 : 1)
    let attached = Attached(
      pid: -1, library: name, totalSteps: count, totalEpochs: count, batchesPerEpoch: count,
      hyperparameters: [name: .real(.nan), "": .integer(.min)])
    say(ring, .attached, JSON.encode(attached))
  }

  /// As many as a record can count, with long names for some and none for the others.
  private static func metrics(_ ring: RingWriter) {
    let names = (0..<100).map { String(repeating: "\($0)\u{7}é", count: 1000) }
    say(ring, .metricNames, JSON.encode(names))
    let values: [Double] = [
      .nan, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -0.0,
    ]
    let many = (0..<65_535).map { values[$0 % values.count] }
    // From one end of the numbers to the other, as a curve.
    for (step, first) in [-Double.greatestFiniteMagnitude, 0, .greatestFiniteMagnitude].enumerated() {
      snapshot(ring, step: UInt64(step) + 3, time: Clock.wallNanoseconds, metrics: [first] + many.dropFirst())
    }
  }

  /// To requests that there were, and that there were not.
  private static func answers(_ ring: RingWriter) {
    for sequence in [1, 2, most] as [UInt64] {
      for outcome in [Staged.Outcome.staged, .missed, .failed, .cancelled, .none] {
        let answer = Staged(
          requestSequence: sequence, step: most, imageBytes: most, cutID: CutID(), slot: .max - 1,
          outcome: outcome, error: .min, stallNanoseconds: most)
        say(ring, .staged, answer)
      }
    }
    let end = Staged(
      requestSequence: most, step: most, imageBytes: most, cutID: CutID(), slot: 7, outcome: .staged,
      stallNanoseconds: most)
    say(ring, .finished, end)
  }

  private static func say(_ ring: RingWriter, _ kind: RecordKind, _ staged: Staged) {
    _ = ring.append(kind, bytes: Staged.encodedBytes) { staged.encode(into: $0) }
  }

  private static func say(_ ring: RingWriter, _ kind: RecordKind, _ payload: [UInt8]) {
    precondition(ring.append(kind, payload), "the ring has room for this")
  }

  private static func snapshot(_ ring: RingWriter, step: UInt64, time: UInt64, metrics: [Double] = [1]) {
    let isWritten = metrics.withUnsafeBufferPointer { metrics in
      ring.appendSnapshot(
        step: step, epoch: step > 2 ? most : 0, batch: step > 2 ? most : step, samples: step,
        timeNanoseconds: time, phase: .other, metrics: metrics,
        parts: UnsafeRawBufferPointer(start: nil, count: 0), partCount: 0,
        image: UnsafeRawBufferPointer(start: nil, count: 0))
    }
    precondition(isWritten, "the ring has room for this")
  }
}
