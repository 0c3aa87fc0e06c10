import Glibc
import Holdfast
import JobStore
import LMDB
import POSIX
import SystemPackage

/// What a step costs the trainer, and how fast the store takes the records.
struct StepBenchmark {
  let place: FilePath
  let memory: FilePath

  /// `Run.step()` with a snapshot of 256 bytes, drained every 20,000 steps.
  func step() throws {
    let identity = RingIdentity(jobID: JobID(), attempt: 1, generation: 1)
    let reader = try RingReader.create(directory: memory, identity: identity, capacityBytes: 8 << 20)
    try ResumeFile(
      job: "bench", jobID: identity.jobID, attempt: 1, generation: 1, point: nil, lastRecordedStep: nil,
      skip: [],
      hyperparameters: [:]
    ).write(in: memory)
    setenv(RunEnvironment.runDirectory, memory.string, 1)
    let run = try Run.attach()
    let loss = run.metric("loss")
    // 56 bytes of header, 8 of metric, 53 of sampler, 139 of random sources: 256.
    _ = run.sampler("train", count: 1000, batchSize: 10, seed: 1)
    for name in ["a----------", "b------", "c-----"].prefix(3) { _ = run.random(name, seed: 2) }
    try run.restore()
    var taken: [Double] = []
    var payload = 0
    for _ in 0..<40 {
      for index in 0..<20_000 {
        loss.set(Double(index))
        let began = now()
        try run.step(samples: 1)
        taken.append(Double(now() - began))
      }
      _ = reader.drain(limit: .max) { kind, bytes in if kind == .snapshot { payload = bytes.count } }
      reader.releaseConsumed()
    }
    let clock = Sample(
      (0..<10_000).map { _ in
        let began = now()
        return Double(now() - began)
      }
    ).median
    let sample = Sample(taken)
    let median = sample.median - clock
    let high = sample.percentile(0.99) - clock
    Report.line(
      "step(), \(payload)-byte snapshot",
      "median \(Report.nanoseconds(median)), p99 \(Report.nanoseconds(high))",
      "≤ 150 ns, p99 ≤ 1 µs", isMet: median <= 150 && high <= 1000)
    copyPeer(payload + 24)
    // On tmpfs a commit waits for no disk.
    try lmdbPeer("LMDB put + commit, not synced", in: memory)
    try lmdbPeer("LMDB put + commit, synced", in: place)
  }

  private func copyPeer(_ bytes: Int) {
    let source = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let target = UnsafeMutableRawPointer.allocate(byteCount: 8 << 20, alignment: 64)
    memset(target, 1, 8 << 20)
    let taken = nanosecondsTaken {
      for index in 0..<1_000_000 { memcpy(target + index % 20_000 * 320, source, bytes) }
    }
    Report.peer("memcpy of the record", Report.nanoseconds(taken / 1_000_000))
  }

  private func lmdbPeer(_ name: String, in place: FilePath) throws {
    let directory = place.appending("peer")
    try FileSystem.makeDirectories(directory)
    let environment = try Environment(directory.string)
    let value = [UInt8](repeating: 7, count: 256)
    guard let database = try environment.write({ try $0.database("peer", create: true) }) else { return }
    func put(_ step: UInt64) throws {
      try environment.write { transaction in
        try withUnsafeBytes(of: step.bigEndian) { key in
          try value.withUnsafeBytes { try transaction.put(database, key, $0) }
        }
      }
    }
    let taken = try Sample((0..<500).map { step in try nanosecondsTaken { try put(UInt64(step)) } })
    Report.peer(name, Report.nanoseconds(taken.median))
  }

  /// Records of 256 bytes from a full ring into the store, until they are durable.
  func drain() throws {
    let identity = RingIdentity(jobID: JobID(), attempt: 1, generation: 1)
    let directory = memory.appending("drain")
    try FileSystem.makeDirectories(directory)
    let reader = try RingReader.create(directory: directory, identity: identity, capacityBytes: 512 << 20)
    let writer = try RingWriter(directory: directory)
    let records = 1_500_000
    let parts = EncodedParts.encode(
      (0..<4).map { .init(kind: .rng, name: "r\($0)", bytes: [UInt8](repeating: 1, count: 37)) })
    var metric = 1.0
    for step in 1...records {
      let isWritten = withUnsafePointer(to: &metric) { metric in
        parts.withUnsafeBytes { parts in
          writer.appendSnapshot(
            step: UInt64(step), epoch: 0, batch: UInt64(step), samples: UInt64(step), timeNanoseconds: 1,
            phase: .training,
            metrics: UnsafeBufferPointer(start: metric, count: 1), parts: parts, partCount: 4,
            image: UnsafeRawBufferPointer(start: nil, count: 0))
        }
      }
      precondition(isWritten)
    }
    let store = try JobStore(stateDirectory: place.appending("drain"), .create)
    let storeWriter = try StoreWriter(store, lookInterval: .milliseconds(100)) { _ in }
    let gate = Gate()
    let taken = nanosecondsTaken {
      storeWriter.attach(reader, attempt: 1)
      storeWriter.detach { gate.open() }
      gate.wait()
    }
    let count = try store.snapshotCount()
    precondition(count == records)
    storeWriter.stop()
    let rate = Double(records) / taken * 1e3
    Report.line(
      "ring into LMDB, durable", "\(Report.ratio(rate)) million snapshots/s", "≥ 1 million/s",
      isMet: rate >= 1)
    try appendPeer(records)
  }

  private func appendPeer(_ records: Int) throws {
    let directory = place.appending("append")
    try FileSystem.makeDirectories(directory)
    var options = Environment.Options()
    options.mapBytes = 1 << 30
    let environment = try Environment(directory.string, options)
    let taken = try nanosecondsTaken {
      for start in stride(from: 0, to: records, by: 10_000) {
        try environment.write { transaction in
          guard let database = try transaction.database("peer", create: true) else { return }
          for step in start..<start + 10_000 {
            try withUnsafeBytes(of: UInt64(step).bigEndian) { key in
              try transaction.put(database, key, bytes: SnapshotRow.headerBytes + 8, append: true) {
                $0[0] = 1
              }
            }
          }
        }
      }
    }
    Report.peer("LMDB appends, 10,000 a commit", "\(Report.ratio(Double(records) / taken * 1e3)) million/s")
  }
}
