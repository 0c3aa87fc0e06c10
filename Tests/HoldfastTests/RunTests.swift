import Glibc
import POSIX
import Reporting
import SystemPackage
import Testing
import Vocabulary

@testable import Holdfast

/// Serialized, as a run finds its supervisor by the process's environment.
@Suite(.serialized) struct RunTests {
  final class Weights: Stateful {
    var values: [Float]
    init(_ values: [Float]) { self.values = values }
    var state: StateValue { .object(["values": .tensor(Tensor(values))]) }
    func load(_ state: StateValue) throws(CheckpointError) {
      values = try state.value("values").tensor().floats()
    }
  }

  private func withDirectory(_ body: (FilePath) throws -> Void) throws {
    var template = Array("/dev/shm/holdfast-unit.XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    let path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    defer {
      unsetenv(RunEnvironment.runDirectory)
      try? FileSystem.removeTree(path)
    }
    try body(path)
  }

  /// A run directory as the supervisor prepares it.
  private func prepare(
    _ directory: FilePath, _ job: JobID, attempt: UInt64 = 1, point: ResumeFile.Point? = nil
  ) throws -> RingReader {
    let reader = try RingReader.create(
      directory: directory, identity: RingIdentity(jobID: job, attempt: attempt, generation: attempt),
      capacityBytes: 1 << 16)
    try ResumeFile(
      job: "j", jobID: job, attempt: attempt, generation: attempt, point: point, lastRecordedStep: nil,
      skip: [],
      hyperparameters: [:]
    ).write(in: directory)
    setenv(RunEnvironment.runDirectory, directory.string, 1)
    return reader
  }

  @Test func stepsAreRecordedAndRequestsAnswered() throws {
    try withDirectory { directory in
      let job = JobID()
      let reader = try prepare(directory, job)
      let run = try Run.attach(hyperparameters: ["lr": .real(0.1)])
      let weights = Weights([1, 2, 3])
      run.register("weights", weights)
      let random = run.random("noise", seed: 4)
      let loss = run.metric("loss")
      #expect(try !run.restore())
      reader.post(Request(sequence: 1, kind: .save, slot: 1, cutID: CutID(), targetStep: 3, generation: 1))
      for step in 1...4 {
        _ = random.next()
        weights.values[0] = Float(step)
        loss.set(Float(step) / 2)
        try run.step(samples: 10)
      }
      var kinds: [RecordKind] = []
      var losses: [Double] = []
      var staged: Staged?
      _ = reader.drain(limit: .max) { kind, payload in
        kinds.append(kind)
        if kind == .snapshot, let view = SnapshotView(payload) { losses.append(view.metric(0)) }
        if kind == .staged { staged = Staged(decoding: payload) }
      }
      #expect(kinds == [.attached, .metricNames, .snapshot, .snapshot, .snapshot, .staged, .snapshot])
      #expect(losses == [0.5, 1, 1.5, 2])
      #expect(staged?.outcome == .staged && staged?.step == 3, "at the requested step")
      let image = try #require(StagedImage.read(ArenaSlot.path(in: directory, slot: 1)))
      let state = try ImageReader(image.bytes)
      #expect(try state.components["weights"]?.value("values").tensor().floats() == [3, 2, 3])
      #expect(state.loop.step == 3 && state.loop.samples == 30)
    }
  }

  @Test func stagedStateResumesIdentically() throws {
    try withDirectory { directory in
      let job = JobID()
      let reader = try prepare(directory, job)
      var expected: [UInt64] = []
      do {
        let run = try Run.attach()
        let weights = Weights([7])
        run.register("weights", weights)
        let random = run.random("noise", seed: 4)
        let sampler = run.sampler("train", count: 100, batchSize: 7, seed: 1)
        try run.restore()
        _ = sampler.next()
        _ = random.next()
        reader.post(Request(sequence: 1, kind: .save, slot: 0, cutID: CutID(), generation: 1))
        try run.step(samples: 7)
        expected = [random.next()] + (sampler.next() ?? []).map { UInt64($0) }
      }
      let image = try #require(StagedImage.read(ArenaSlot.path(in: directory, slot: 0)))
      let point = ResumeFile.Point(
        level: Stored(.staged), step: 1, path: image.path.string,
        offsetBytes: UInt64(StagedImage.offsetBytes),
        lengthBytes: UInt64(image.bytes.count), cutID: nil)
      _ = try prepare(directory, job, attempt: 2, point: point)
      let run = try Run.attach()
      let weights = Weights([0])
      run.register("weights", weights)
      let random = run.random("noise", seed: 99)
      let sampler = run.sampler("train", count: 100, batchSize: 7, seed: 1)
      #expect(try run.restore())
      #expect(run.step == 1 && run.samples == 7 && run.batch == 1 && weights.values == [7])
      #expect([random.next()] + (sampler.next() ?? []).map { UInt64($0) } == expected)
    }
  }

  @Test func resumeFileOfAnotherJobIsRejected() throws {
    try withDirectory { directory in
      _ = try prepare(directory, JobID())
      try ResumeFile(
        job: "other", jobID: JobID(), attempt: 1, generation: 1, point: nil, lastRecordedStep: nil, skip: [],
        hyperparameters: [:]
      ).write(in: directory)
      #expect { _ = try Run.attach() } throws: {
        ($0 as? HoldfastError)?.what.contains("belongs to another job") == true
      }
    }
  }

  /// A trainer prints it as it is: no command of holdfast adds the path and the hint.
  @Test func errorTextHasPathAndHint() throws {
    try withDirectory { directory in
      setenv(RunEnvironment.runDirectory, directory.string, 1)
      let error = #expect(throws: HoldfastError.self) { _ = try Run.attach() }
      let text = "\(try #require(error))"
      #expect(text.contains(directory.string), "\(text)")
      #expect(text.hasSuffix("; start the trainer with 'holdfast run'"), "\(text)")
    }
  }

  @Test func errorNamesMissingComponent() throws {
    try withDirectory { directory in
      let saved = try Run.attach()
      saved.register("model", Weights([1]))
      let path = try saved.save(to: directory.appending("checkpoints"))
      let other = try Run.attach()
      other.register("network", Weights([1]))
      #expect { try other.load(from: path) } throws: {
        ($0 as? HoldfastError)?.what.contains("model") == true
      }
    }
  }

  @Test func standaloneRunSavesAndLoads() throws {
    try withDirectory { directory in
      let run = try Run.attach()
      #expect(!run.isSupervised)
      let weights = Weights([1, 2])
      run.register("model", weights)
      let random = run.random("noise", seed: 1)
      try run.restore()
      for _ in 0..<5 { try run.step(["loss": 1], samples: 3) }
      let path = try run.save(to: directory.appending("checkpoints"))
      let next = random.next()
      let again = try Run.attach()
      let loaded = Weights([])
      again.register("model", loaded)
      let continued = again.random("noise", seed: 8)
      try again.load(from: path)
      #expect(again.step == 5 && again.samples == 15 && loaded.values == [1, 2] && continued.next() == next)
      try run.finish()
    }
  }

  @Test func fullRingDropsOnlySnapshots() throws {
    try withDirectory { directory in
      let reader = try prepare(directory, JobID())
      let run = try Run.attach()
      run.register("weights", Weights([1, 2, 3]))
      try run.restore()
      while reader.skipped == 0 { try run.step() }
      // Names and an answer that do not fit, and further steps.
      _ = run.metric("loss")
      reader.post(Request(sequence: 1, kind: .save, slot: 1, cutID: CutID(), generation: 1))
      for _ in 0..<5 { try run.step() }
      #expect(reader.skipped == 6, "retried records are not counted")
      #expect(reader.acknowledged == Acknowledgement(sequence: 1, outcome: .staged))
      func drain() -> [RecordKind] {
        var kinds: [RecordKind] = []
        while reader.drain(limit: .max, { kind, _ in kinds.append(kind) }) > 0 { reader.releaseConsumed() }
        return kinds
      }
      #expect(!drain().contains(.staged))
      try run.step()
      #expect(drain() == [.metricNames, .staged, .snapshot])
      #expect(reader.skipped == 6)
    }
  }

  @Test func initialStateIsStagedAndResumedAsABeginning() throws {
    try withDirectory { directory in
      let job = JobID()
      let first = try prepare(directory, job)
      first.setInitialSlot(1)
      let run = try Run.attach()
      let weights = Weights([1, 2, 3])
      run.register("weights", weights)
      let noise = run.random("noise", seed: 4)
      #expect(try !run.restore())
      let drawn = noise.next()
      let image = try #require(StagedImage.read(ArenaSlot.path(in: directory, slot: 1)))
      #expect(image.description.step == 0)
      let point = ResumeFile.Point(
        level: Stored(.staged), step: 0, path: image.path.string,
        offsetBytes: UInt64(StagedImage.offsetBytes),
        lengthBytes: UInt64(image.bytes.count), cutID: nil)
      // The ring is locked while the trainer lives, so the next one gets another.
      let second = try prepare(directory, job, attempt: 2, point: point)
      second.setVerdict(.pending)
      let again = try Run.attach()
      #expect(second.restoring == .waiting)
      let others = Weights([7, 8, 9])
      again.register("weights", others)
      let other = again.random("noise", seed: 5)
      second.setVerdict(.whole)
      #expect(try !again.restore(), "it begins like the first one")
      #expect(again.resumedFrom == nil && others.values == [1, 2, 3] && other.next() == drawn)
      #expect(second.restoring == .done)
    }
  }

  @Test(arguments: ["s3://bucket/x", "gs://bucket/", "file:///tmp/x"]) func urlsAreRejected(url: String)
    throws
  {
    let run = try Run.attach()
    for call in [{ try run.save(to: FilePath(url)) }, { try run.load(from: FilePath(url)) }]
      as [() throws -> Any]
    {
      let error = #expect(throws: HoldfastError.self) { _ = try call() }
      #expect(error?.what.contains("this is a URL") == true)
    }
    #expect(!FilePath("a:/x").isURL && !FilePath("/s3:/x").isURL && !FilePath("step:1").isURL)
    #expect(!FileSystem.exists("s3:") && !FileSystem.exists("gs:"))
  }
}
