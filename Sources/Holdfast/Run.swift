import Checkpoints
import Glibc
import POSIX
import SystemPackage
public import TrainerProtocol

/// A training run that can be killed at any moment and goes on with the same bits.
///
/// Attach, register everything that has state, `restore()`, then call `step()` after every batch.
/// Under a supervisor each step is recorded and the state is staged when asked for; without one the
/// same program runs to its end, and can save and load checkpoints itself.
///
/// A run belongs to one thread.
public final class Run {
  /// Steps made, in all attempts.
  public var step: UInt64 { counters.pointee.step }
  /// Epoch that is being worked on, from 0.
  public var epoch: UInt64 { counters.pointee.epoch }
  /// Batches consumed in this epoch.
  public var batch: UInt64 { counters.pointee.batch }
  /// Samples consumed in the whole run.
  public var samples: UInt64 { counters.pointee.samples }

  struct Counters {
    var step: UInt64 = 0
    var epoch: UInt64 = 0
    var batch: UInt64 = 0
    var samples: UInt64 = 0
  }

  /// Apart from the object, whose every access would be checked for exclusivity, in each step.
  let counters: UnsafeMutablePointer<Counters>
  /// What the loop is doing: `validation` while no step is made, so that nobody takes it for a hang.
  public var phase: LoopState.Phase = .training
  /// Whether each snapshot carries the whole state, so that no step is lost at all. For small state.
  public var snapshotsAreFull = false
  /// What follows when the supervisor asks to save and leave, after the state is staged. The default
  /// ends the process with exit status 75, "stopped and resumable".
  public var onLeave: () -> Void = { exit(75) }
  /// Where the run continued; nil at the beginning.
  public private(set) var resumedFrom: UInt64?
  /// Steps up to this one were made before: they are being replayed.
  public private(set) var replayEnd: UInt64 = 0

  let hyperparameters: [String: Scalar]
  let runDirectory: FilePath?
  let ring: RingWriter?
  var resumeFile: ResumeFile?
  var components: [(name: String, object: any Stateful)] = []
  var randoms: [(name: String, source: RandomSource)] = []
  var samplers: [(name: String, sampler: Sampler)] = []
  var metricNames: [String] = []
  var slots: [UInt32: ArenaSlot] = [:]

  /// The first sampler's position; kept alive by `samplers`.
  private var position: UnsafePointer<UInt64>?
  private var parts = SnapshotParts()
  private let metrics: UnsafeMutablePointer<Double>
  private var sentMetricNames = 0
  /// Records other than snapshots that a full ring had no room for.
  private var unsent: [(kind: RecordKind, payload: [UInt8])] = []
  private static let largestUnsentCount = 64
  private var isRestored = false
  private var fullImage = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 16)

  public static let largestMetricCount = 256

  // MARK: Attaching

  /// Attaches to the supervisor that started this process; standalone when there is none.
  /// - Parameters:
  ///   - hyperparameters: kept with the job and in every checkpoint's manifest.
  ///   - totalEpochs: where known, so that `status` can say how far the run is.
  ///   - batchesPerEpoch: likewise.
  public static func attach(
    hyperparameters: [String: Scalar] = [:], totalEpochs: Int? = nil, batchesPerEpoch: Int? = nil
  ) throws(HoldfastError) -> Run {
    guard let path = getenv(RunEnvironment.runDirectory).map({ FilePath(platformString: $0) }) else {
      return Run(nil, nil, nil, hyperparameters)
    }
    do throws(ProtocolError) {
      let resume = try ResumeFile.read(in: path)
      let ring = try RingWriter(directory: path)
      guard resume.jobID == ring.identity.jobID, resume.attempt == ring.identity.attempt else {
        throw ProtocolError(
          .foreign, operation: "\(ResumeFile.name) is of another job or attempt", path: path,
          hint: "start the trainer through holdfast run, once for each attempt")
      }
      let run = Run(path, ring, resume, hyperparameters)
      let total = totalEpochs.flatMap { epochs in
        batchesPerEpoch.map { UInt64(clamping: epochs.multipliedReportingOverflow(by: $0).partialValue) }
      }
      let attached = Attached(
        pid: getpid(), library: "swift", totalSteps: total,
        totalEpochs: totalEpochs.map { UInt64(clamping: $0) },
        batchesPerEpoch: batchesPerEpoch.map { UInt64(clamping: $0) }, hyperparameters: hyperparameters)
      ring.setAttached(pid: getpid())
      ring.setRestoring(.waiting)
      run.append(.attached, JSON.encode(attached))
      ForkGuard.arm()
      return run
    } catch {
      throw HoldfastError(.cannotAttach, error)
    }
  }

  private init(
    _ directory: FilePath?, _ ring: RingWriter?, _ resume: ResumeFile?, _ hyperparameters: [String: Scalar]
  ) {
    self.hyperparameters = hyperparameters
    runDirectory = directory
    self.ring = ring
    resumeFile = resume
    replayEnd = resume?.lastRecordedStep ?? 0
    counters = .allocate(capacity: 1)
    counters.initialize(to: Counters())
    metrics = .allocate(capacity: Self.largestMetricCount)
    metrics.initialize(repeating: .nan, count: Self.largestMetricCount)
  }

  deinit {
    counters.deallocate()
    metrics.deallocate()
    parts.free()
    fullImage.deallocate()
  }

  /// Whether a supervisor records this run.
  public var isSupervised: Bool { ring != nil }
  /// Whether this step was made before, by an attempt that ended.
  public var isReplaying: Bool { step < replayEnd }

  // MARK: Registering

  /// Registers a component under a name that stays the same in every attempt.
  public func register(_ name: String, _ object: any Stateful) {
    precondition(!isRestored, "register components before restore()")
    precondition(!components.contains { $0.name == name }, "component '\(name)' is registered already")
    components.append((name, object))
  }

  /// A random source that is saved and restored with the run.
  public func random(_ name: String, seed: UInt64) -> RandomSource {
    precondition(!isRestored, "make random sources before restore()")
    let source = RandomSource(seed: seed)
    randoms.append((name, source))
    parts.add(.rng, name, source.words, RandomSource.wordCount)
    return source
  }

  /// A sampler that is saved and restored with the run. The first one's position is the run's.
  public func sampler(
    _ name: String, count: Int, batchSize: Int, seed: UInt64, dropsLast: Bool = false
  ) -> Sampler {
    precondition(!isRestored, "make samplers before restore()")
    let sampler = Sampler(count: count, batchSize: batchSize, seed: seed, dropsLast: dropsLast)
    if samplers.isEmpty {
      position = UnsafePointer(sampler.words + 2)
      sampler.skips = Set((resumeFile?.skip ?? []).map { .init(epoch: $0.epoch, batch: $0.batch) })
    }
    samplers.append((name, sampler))
    parts.add(.sampler, name, sampler.words, Sampler.wordCount)
    return sampler
  }

  /// A number for every snapshot; NaN until it is set.
  public func metric(_ name: String) -> Metric {
    if let index = metricNames.firstIndex(of: name) { return Metric(slot: metrics + index) }
    precondition(metricNames.count < Self.largestMetricCount, "at most \(Self.largestMetricCount) metrics")
    metricNames.append(name)
    return Metric(slot: metrics + metricNames.count - 1)
  }

  // MARK: The loop

  /// Continues where the run stood: components, random sources, samplers, counters.
  ///
  /// A run that begins stages its state here, before its first step. An attempt that goes on from that state
  /// has it again, random sources included, and does everything as the first one did: it is told that it
  /// begins.
  /// - Returns: whether there were steps to continue from.
  @discardableResult
  public func restore() throws(HoldfastError) -> Bool {
    isRestored = true
    guard let point = try awaitResumePoint() else {
      stageInitially()
      return false
    }
    ring?.setRestoring(.loading)
    try restore(point)
    ring?.setRestoring(.done)
    guard step > 0 else { return false }
    resumedFrom = step
    return true
  }

  /// The epochs from where the run stands to `total`; each begins its samplers anew, but for the one
  /// that was interrupted.
  public func epochs(_ total: Int) -> AnyIterator<Int> {
    var isFirst = true
    return AnyIterator { [self] in
      if isFirst {
        isFirst = false
      } else {
        beginEpoch(epoch == .max ? epoch : epoch + 1)
      }
      return epoch < UInt64(clamping: total) ? Int(epoch) : nil
    }
  }

  /// The metrics as they stand, by name.
  var metricValues: [String: Double] {
    Dictionary(uniqueKeysWithValues: metricNames.indices.map { (metricNames[$0], metrics[$0]) })
  }

  private func beginEpoch(_ number: UInt64) {
    counters.pointee.epoch = number
    counters.pointee.batch = 0
    for (_, sampler) in samplers { sampler.seek(epoch: number) }
  }

  /// Marks the end of a step: everything registered now agrees. Records it, and stages the state if
  /// the supervisor asks for it. About a tenth of a microsecond when it does not.
  /// - Parameters:
  ///   - samples: how many were consumed in this step, by all ranks.
  public func step(samples count: Int = 0) throws(HoldfastError) {
    counters.pointee.step &+= 1
    counters.pointee.samples &+= UInt64(truncatingIfNeeded: count)
    counters.pointee.batch = position?.pointee ?? counters.pointee.batch &+ 1
    guard let ring else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    if !unsent.isEmpty { sendUnsent() }
    if sentMetricNames != metricNames.count { sendMetricNames() }
    parts.refresh()
    let image = snapshotsAreFull ? try makeFullImage() : UnsafeRawBufferPointer(start: nil, count: 0)
    // A full ring loses this step's record, never the step: the ring counts it.
    _ = ring.appendSnapshot(
      step: step, epoch: epoch, batch: batch, samples: samples, timeNanoseconds: Clock.wallNanoseconds,
      phase: phase, metrics: UnsafeBufferPointer(start: metrics, count: metricNames.count),
      parts: UnsafeRawBufferPointer(parts.bytes), partCount: parts.count, image: image)
    ring.beat()
    if let request = ring.pendingRequest() { answer(request) }
  }

  /// As `step(samples:)`, setting metrics by name; a little slower.
  public func step(_ values: [String: Double], samples count: Int = 0) throws(HoldfastError) {
    for (name, value) in values.sorted(by: { $0.key < $1.key }) { metric(name).set(value) }
    try step(samples: count)
  }

  /// A moment between steps at which everything registered agrees: call it in long validation or
  /// warm-up loops, so that requests are seen and the trainer is not taken for hung.
  public func safepoint() throws(HoldfastError) {
    guard let ring else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    if !unsent.isEmpty { sendUnsent() }
    ring.beat()
    if let request = ring.pendingRequest() { answer(request) }
  }

  private func sendMetricNames() {
    sentMetricNames = metricNames.count
    append(.metricNames, JSON.encode(metricNames))
  }

  private func makeFullImage() throws(HoldfastError) -> UnsafeRawBufferPointer {
    let image = makeImage()
    guard let ring, image.imageBytes + parts.bytes.count + 4096 <= ring.largestPayload else {
      throw HoldfastError(
        .stateTooLarge, "a full snapshot of \(image.imageBytes) bytes does not fit the ring",
        hint: "set snapshotsAreFull to false: checkpoints are staged in the arena")
    }
    if fullImage.count != image.imageBytes {
      fullImage.deallocate()
      fullImage = .allocate(byteCount: image.imageBytes, alignment: 16)
    }
    image.write(into: fullImage)
    return UnsafeRawBufferPointer(fullImage)
  }

  // MARK: Records that must not be lost

  /// Appends a record, or keeps it until there is room: at one of the next steps. A step never waits.
  func append(_ kind: RecordKind, _ payload: [UInt8]) {
    guard let ring else { return }
    if unsent.isEmpty, ring.append(kind, payload) { return }
    // Of names only the newest count, which has them all. An answer that has no room here any more is told
    // by the ring's header.
    if kind == .metricNames { unsent.removeAll { $0.kind == kind } }
    if unsent.count < Self.largestUnsentCount || kind != .staged { unsent.append((kind, payload)) }
  }

  func sendUnsent() {
    guard let ring else { return }
    let sent = unsent.prefix { ring.append($0.kind, $0.payload) }.count
    unsent.removeFirst(sent)
  }

  /// Before this process goes: waits a while for room. No step is held up any more.
  func flush() {
    for _ in 0..<200 where !unsent.isEmpty {
      sendUnsent()
      if !unsent.isEmpty { usleep(10_000) }
    }
  }
}
