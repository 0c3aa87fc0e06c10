import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// The contents of a store after a few attempts, with documents of each kind and all of their fields.
public struct SampleStore: Sendable {
  public struct Document: Sendable {
    public var database: RawStore.Name
    public var key: [UInt8]
    public var text: String
    /// Whether its reader accepts this text.
    public var isReadable: @Sendable (String) -> Bool
  }

  public var documents: [Document] = []

  public init(job name: String = "test", command: [String] = ["true"], runDirectory: String = "/nonexistent")
  {
    var job = JobRecord(job: name, id: JobID(), createdAtNs: 1_700_000_000_000_000_000, command: command)
    job.totalSteps = 1000
    job.totalEpochs = 10
    job.batchesPerEpoch = 100
    addMeta("job", job)
    addMeta("standing", Self.standing)
    addMeta(
      "live",
      LiveRecord(
        pid: 1, startTime: 5, boot: "b", runDirectory: runDirectory, state: Stored(.running), trainerPid: 2,
        attempt: 3, graceSeconds: 25, stalls: 1, maxStalls: 5, staged: .init(step: 40, bytes: 100, atNs: 9),
        degraded: [], updatedAtNs: 1_700_000_100_000_000_000))
    for number in 1...3 as ClosedRange<UInt64> { add(.attempts, Self.bytes(number), Self.attempt(number)) }
    let checkpoint = CheckpointRecord(
      name: "step-40", step: 40, cut: CutID(), attempt: 3, epoch: 0, batch: 40, bytes: 1000, digest: "ab",
      digestAlgorithm: "xxh128",
      createdAtNs: 1_700_000_050_000_000_000, tookNs: 5, metrics: ["loss": 0.5])
    add(.checkpoints, Self.bytes(40) + Self.bytes(1) + Self.bytes(2), checkpoint)
    for number in 1...3 as ClosedRange<UInt64> {
      var event = EventRecord(
        timeNs: 1_700_000_000_000_000_000, kind: Stored(.attemptEnded), attempt: number, step: 30,
        isWarning: true,
        message: "attempt \(number) crashed: exit 1")
      event.sequence = number
      add(.events, Self.bytes(number), event)
    }
    var totals = AttemptTotals()
    for number in 1...2 as ClosedRange<UInt64> { totals.add(Self.attempt(number)) }
    addMeta("attempt_totals", totals)
    let metrics = """
      {"counters":{"attempts":{"crashed":1},"replayed_steps":1,"restarts":{"crashed":1},"seconds":{"down":1.5},\
      "skipped_records":0,"steps":7},"step_durations":{"bounds":[0.001,0.5],"counts":[1,2,3],"sum":4.5}}
      """
    documents.append(
      Document(database: .meta, key: Array("metrics".utf8), text: metrics) { _ in true })
  }

  private static func bytes(_ number: UInt64) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  private static var standing: Standing {
    var standing = Standing()
    standing.attempt = 3
    standing.stalls = 1
    standing.deathTally = .init(batch: BatchPosition(epoch: 0, batch: 7), step: 8, count: 1)
    standing.failureTally = .init(
      place: FailurePlace(type: "ValueError", message: "no", traceback: "line 1"), count: 1, furthest: 30)
    standing.completedStep = 30
    standing.skips = [BatchPosition(epoch: 1, batch: 2)]
    standing.lastDurableWallSeconds = 1_700_000_000
    standing.undurableSeconds = 3
    standing.publishingSeconds = 0.5
    standing.jitter = 11
    return standing
  }

  private static func attempt(_ number: UInt64) -> AttemptRecord {
    let start = 1_700_000_000_000_000_000 + number * 10_000_000_000
    var record = AttemptRecord(
      attempt: number, generation: number, boot: "b", startedAtNs: start,
      resumedFrom: .init(level: Stored(.staged), step: 20))
    record.pid = 77
    record.endedAtNs = start + 9_000_000_000
    record.running = number == 3
    record.outcome = number == 3 ? nil : Stored(.failed)
    record.cause = number == 3 ? nil : Stored(.crashed)
    record.signal = 11
    record.exitStatus = 1
    record.firstStep = 21
    record.lastStep = 30
    record.steps = 10
    record.replayedSteps = 4
    record.differsAtStep = 22
    record.differsIn = "rng"
    record.firstStepAtNs = start + 1_000_000_000
    record.lastStepAtNs = start + 8_000_000_000
    record.stallNs = 1_000_000
    record.skippedRecords = 2
    record.peakResidentBytes = 1 << 30
    record.oomKills = 1
    record.failure = Failure(type: "ValueError", message: "no", traceback: "line 1")
    record.leaving = .init(by: "SIGTERM", graceSeconds: 25)
    record.leaving?.savedSeconds = 0.5
    record.notice = .init(source: "AWS", action: "terminate", deadlineNs: start + 5)
    return record
  }

  private mutating func addMeta(_ key: String, _ value: some Codable & Sendable) {
    add(.meta, Array(key.utf8), value)
  }

  private mutating func add<Value: Codable & Sendable>(_ name: RawStore.Name, _ key: [UInt8], _ value: Value)
  {
    let text = String(decoding: JSON.encode(value), as: UTF8.self)
    documents.append(
      Document(database: name, key: key, text: text) { text in
        let decoded: Value? = JSON.decode(Array(text.utf8))
        return decoded != nil
      })
  }

  // MARK: Writing

  /// Writes the documents, and rows of snapshots for `steps`.
  public func write(to state: FilePath, steps: [UInt64] = [28, 29, 30]) throws {
    let store = try RawStore(stateDirectory: state)
    try store.write { writing in
      for document in documents {
        try writing.put(document.database, document.key, Array(document.text.utf8))
      }
      for step in steps {
        try writing.put(
          .snapshots, [0, 0, 0, 0] + Self.bytes(step), Self.row(attempt: 3, step: step, timeNs: step))
      }
      try writing.put(.meta, "metric_names", "[\"loss\"]")
    }
  }

  /// A row in the format of `SnapshotRow`, with one metric.
  public static func row(attempt: UInt64, step: UInt64, timeNs: UInt64, metric: Double = 0.5) -> [UInt8] {
    var row = [UInt8](repeating: 0, count: 80)
    row[0] = 1
    for (offset, word) in [
      (8, attempt), (16, step / 100), (24, step % 100), (32, step), (40, timeNs), (64, 1),
      (72, metric.bitPattern),
    ] {
      withUnsafeBytes(of: word.littleEndian) { bytes in
        for (index, byte) in bytes.enumerated() { row[offset + index] = byte }
      }
    }
    let checksum = row.withUnsafeBytes { bytes in
      CRC32.checksum(
        UnsafeRawBufferPointer(rebasing: bytes[8...]),
        CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<4])))
    }
    withUnsafeBytes(of: checksum.littleEndian) { bytes in
      for (index, byte) in bytes.enumerated() { row[4 + index] = byte }
    }
    return row
  }
}
