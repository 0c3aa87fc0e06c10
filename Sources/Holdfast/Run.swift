public import Checkpoints
import Glibc
import POSIX
import Reporting
public import SystemPackage
public import TrainerProtocol
import Vocabulary

/// A training run that can be killed at any moment and continues with the same bits.
///
/// Attach, register everything that has state, call `restore()`, then `step()` after every batch. Under a
/// supervisor, each step is recorded and the state is staged on request; without one, the same program runs
/// to its end and can save and load checkpoints itself.
///
/// Use a run from one thread only.
public final class Run {
  /// Steps made, in all attempts.
  public var step: UInt64 { state.counters.pointee.step }
  /// Current epoch, from 0.
  public var epoch: UInt64 { state.counters.pointee.epoch }
  /// Batches consumed in this epoch.
  public var batch: UInt64 { state.counters.pointee.batch }
  /// Samples consumed in the whole run.
  public var samples: UInt64 { state.counters.pointee.samples }

  /// What the loop is doing. Set `validation` while no steps are made, so that it is not mistaken for a hang.
  public var phase: LoopState.Phase = .training
  /// Whether each snapshot contains the whole state, so that no step is ever lost. For small state.
  public var snapshotsAreFull = false
  /// Called after the state was staged when the supervisor requests to save and exit. The default exits with
  /// status 75, "stopped and resumable".
  public var onLeave: () -> Void = { exit(75) }
  /// Step at which the run resumed; nil at the beginning.
  public private(set) var resumedFrom: UInt64?
  /// Steps up to this one were made before and are being replayed.
  public private(set) var replayEnd: UInt64 = 0

  /// As given to `attach`, with the values of `holdfast run --set`.
  public let hyperparameters: Hyperparameters
  private let runDirectory: FilePath?
  private let ring: RingWriter?
  private let records: RecordQueue?
  private let stager: Stager?
  private let state = RegisteredState()
  private var resumeFile: ResumeFile?
  private var metricNames: [String] = []
  /// Metrics of the last step that were computed after it.
  private var logged: [String: Double] = [:]
  /// Number of records of such metrics.
  private var logCount: UInt64 = 0
  private var finishedStep: UInt64?
  private let metrics: UnsafeMutablePointer<Double>
  private var sentMetricNames = 0
  private var isRestored = false
  private var fullImage = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 16)

  public static let largestMetricCount = 256

  // MARK: Attaching

  /// Attaches to the supervisor that started this process, or runs standalone if there is none.
  /// - Parameters:
  ///   - hyperparameters: stored with the job and in every checkpoint's manifest. The run's own have the values that
  ///     `holdfast run --set` gave them: use those of the run.
  ///   - totalEpochs: if known, for the progress in `status`.
  ///   - batchesPerEpoch: likewise.
  public static func attach(
    hyperparameters: Hyperparameters = [:], totalEpochs: Int? = nil, batchesPerEpoch: Int? = nil
  ) throws(HoldfastError) -> Run {
    guard let path = getenv(RunEnvironment.runDirectory).map({ FilePath(platformString: $0) }) else {
      return Run(nil, nil, nil, hyperparameters)
    }
    do throws(ProtocolError) {
      let resume = try ResumeFile.read(in: path)
      let ring = try RingWriter(directory: path)
      guard resume.jobID == ring.identity.jobID, resume.attempt == ring.identity.attempt else {
        throw ProtocolError(
          .foreign, "\(ResumeFile.name) belongs to another job or attempt", path: path,
          hint: "start the trainer with 'holdfast run', once per attempt")
      }
      let changes = resume.hyperparameterChanges ?? []
      let run = Run(path, ring, resume, changes.applied(to: hyperparameters))
      let total = totalEpochs.flatMap { epochs in
        batchesPerEpoch.map { UInt64(clamping: epochs.multipliedReportingOverflow(by: $0).partialValue) }
      }
      let attached = Attached(
        pid: getpid(), library: "swift", totalSteps: total,
        totalEpochs: totalEpochs.map { UInt64(clamping: $0) },
        batchesPerEpoch: batchesPerEpoch.map { UInt64(clamping: $0) }, hyperparameters: run.hyperparameters)
      ring.setAttached(pid: getpid())
      ring.setRestoring(.waiting)
      run.records?.append(.attached, JSON.encode(attached))
      ForkGuard.arm()
      return run
    } catch {
      throw HoldfastError(.cannotAttach, error)
    }
  }

  private init(
    _ directory: FilePath?, _ ring: RingWriter?, _ resume: ResumeFile?, _ hyperparameters: Hyperparameters
  ) {
    self.hyperparameters = hyperparameters
    runDirectory = directory
    self.ring = ring
    resumeFile = resume
    replayEnd = resume?.lastRecordedStep ?? 0
    records = ring.map(RecordQueue.init)
    stager =
      if let ring, let records, let directory {
        Stager(state, ring, records, ArenaPlace(directory, disk: resume?.arenaDisk.map { FilePath($0) }))
      } else { nil }
    metrics = .allocate(capacity: Self.largestMetricCount)
    metrics.initialize(repeating: .nan, count: Self.largestMetricCount)
  }

  deinit {
    metrics.deallocate()
    fullImage.deallocate()
  }

  /// A run without a supervisor, whatever the environment.
  static func standalone(_ hyperparameters: Hyperparameters) -> Run { Run(nil, nil, nil, hyperparameters) }

  /// Whether a supervisor records this run.
  public var isSupervised: Bool { ring != nil }
  /// Whether this step was already made by an earlier attempt.
  public var isReplaying: Bool { step < replayEnd }

  // MARK: Registering

  /// Registers a component under a name that must be the same in every attempt.
  /// - Parameter strict: whether a saved state must match the object exactly. If not, what fits is loaded: each
  ///   value that the object's own state has in the same place with the same type and shape. The rest keeps its own
  ///   value, is listed in `notLoaded`, and reported on standard error.
  public func register(_ name: String, _ object: any Stateful, strict: Bool = true) {
    precondition(!isRestored, "register components before restore()")
    state.components.register(name, object, strict: strict)
  }

  /// What the last load left out, as the component or the load was not strict.
  public var notLoaded: [NotLoaded] { state.components.notLoaded }

  /// Calls `hook` with the states of all components by name before each save, while the trainer waits. It may
  /// read, add, change and delete states. See `CheckpointHooks` for those of a component.
  public func onSaveCheckpoint(_ hook: @escaping (inout [String: StateValue]) -> Void) {
    state.components.saveHooks.append(hook)
  }

  /// Calls `hook` with the saved states by component name before they are loaded. It may read, add, change and
  /// delete states; what hooks have added for other programs may stay.
  public func onLoadCheckpoint(
    _ hook: @escaping (inout [String: StateValue]) throws(CheckpointError) -> Void
  ) {
    state.components.loadHooks.append(hook)
  }

  /// Creates a random source that is saved and restored with the run.
  public func random(_ name: String, seed: UInt64) -> RandomSource {
    precondition(!isRestored, "create random sources before restore()")
    let source = RandomSource(seed: seed)
    state.register(name, source)
    return source
  }

  /// Creates a sampler that is saved and restored with the run. The first one determines `batch`.
  public func sampler(
    _ name: String, count: Int, batchSize: Int, seed: UInt64, dropsLast: Bool = false
  ) -> Sampler {
    precondition(!isRestored, "create samplers before restore()")
    let sampler = Sampler(count: count, batchSize: batchSize, seed: seed, dropsLast: dropsLast)
    if state.register(name, sampler) {
      sampler.skips = Set((resumeFile?.skip ?? []).map { .init(epoch: $0.epoch, batch: $0.batch) })
    }
    return sampler
  }

  /// Declares a number for every snapshot; NaN until it is set.
  public func metric(_ name: String) -> Metric {
    if let index = metricNames.firstIndex(of: name) { return Metric(slot: metrics + index) }
    precondition(metricNames.count < Self.largestMetricCount, "at most \(Self.largestMetricCount) metrics")
    metricNames.append(name)
    return Metric(slot: metrics + metricNames.count - 1)
  }

  // MARK: The loop

  /// Restores components, random sources, samplers and counters from the resume point.
  ///
  /// A new run stages its state here, before its first step. An attempt that resumes from that state restores
  /// it, including random sources, and repeats what the first one did, so `false` is returned.
  /// - Returns: whether the run resumes after its first step.
  @discardableResult
  public func restore() throws(HoldfastError) -> Bool {
    isRestored = true
    var mapping: MappedFile?
    if let ring, let runDirectory {
      (resumeFile, mapping) = try ResumePointWait(ring: ring, runDirectory: runDirectory).run(resumeFile)
    }
    guard let point = resumeFile?.ranks.first?.point else {
      stager?.stageInitially()
      return false
    }
    let weightsOnly = point.weightsOnly ?? false
    ring?.setRestoring(.loading)
    try state.restore(
      FilePath(point.path), offsetBytes: point.offsetBytes, lengthBytes: point.lengthBytes,
      expected: weightsOnly ? nil : point.step, weightsOnly: weightsOnly, mapping)
    ring?.setRestoring(.done)
    if weightsOnly { stager?.stageInitially() }
    guard step > 0 else { return false }
    resumedFrom = step
    return true
  }

  /// The epochs from the current one to `total`. Each restarts the samplers, except the interrupted one.
  public func epochs(_ total: Int) -> AnyIterator<Int> {
    var isFirst = true
    return AnyIterator { [self] in
      if isFirst {
        isFirst = false
      } else {
        state.beginEpoch(epoch == .max ? epoch : epoch + 1)
        // Validation is over, and the state is consistent. After the last epoch, finish() saves it.
        if epoch < UInt64(clamping: total) {
          if let request = ring?.pendingRequest() {
            stager?.answer(request, at: .validation, onLeave: onLeave)
          }
          stager?.endEpoch(epoch &- 1)
        }
      }
      return epoch < UInt64(clamping: total) ? Int(epoch) : nil
    }
  }

  /// Current metrics by name.
  private var metricValues: [String: Double] {
    let declared = Dictionary(
      uniqueKeysWithValues: metricNames.indices.map { (metricNames[$0], metrics[$0]) })
    return declared.merging(logged) { _, logged in logged }
  }

  /// Marks the end of a step, when everything registered is consistent. Records the step, and stages the
  /// state if the supervisor requests it. Takes about 0.1 µs without a request.
  /// - Parameter samples: number of samples consumed in this step by all ranks.
  public func step(samples count: Int = 0) throws(HoldfastError) {
    state.counters.pointee.step &+= 1
    state.counters.pointee.samples &+= UInt64(truncatingIfNeeded: count)
    state.counters.pointee.batch = state.position?.pointee ?? state.counters.pointee.batch &+ 1
    if !logged.isEmpty { logged = [:] }
    if finishedStep != nil { finishedStep = nil }
    guard let ring else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    records?.send()
    if sentMetricNames != metricNames.count { sendMetricNames() }
    state.parts.refresh()
    let image = snapshotsAreFull ? try makeFullImage() : UnsafeRawBufferPointer(start: nil, count: 0)
    // If the ring is full, this step's record is dropped and counted in the ring.
    _ = ring.appendSnapshot(
      step: step, epoch: epoch, batch: batch, samples: samples, timeNanoseconds: Clock.wallNanoseconds,
      phase: phase, metrics: UnsafeBufferPointer(start: metrics, count: metricNames.count),
      parts: UnsafeRawBufferPointer(state.parts.bytes), partCount: state.parts.count, image: image)
    ring.beat()
    stager?.mapAhead()
    if let request = ring.pendingRequest() {
      stager?.answer(request, at: state.isAtEndOfEpoch ? .training : nil, onLeave: onLeave)
    }
  }

  /// Like `step(samples:)`, but sets metrics by name; a little slower.
  public func step(_ values: [String: Double], samples count: Int = 0) throws(HoldfastError) {
    for (name, value) in values.sorted(by: { $0.key < $1.key }) { metric(name).set(value) }
    try step(samples: count)
  }

  /// Marks a point between steps where everything registered is consistent. Call it in long validation or
  /// warm-up loops, so that requests are handled and the trainer is not considered hung.
  public func safepoint() throws(HoldfastError) {
    guard let ring else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    records?.send()
    ring.beat()
    if let request = ring.pendingRequest() { stager?.answer(request, onLeave: onLeave) }
  }

  /// Reports metrics that were computed after the last step, such as by a validation. They belong to the state
  /// after that step, and so to its checkpoint.
  public func log(_ values: [String: Double]) throws(HoldfastError) {
    for (name, value) in values { logged[name] = value }
    guard ring != nil, !values.isEmpty else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    records?.append(.metrics, JSON.encode(StepMetrics(step: step, values: values)))
    logCount += 1
  }

  private func sendMetricNames() {
    sentMetricNames = metricNames.count
    records?.append(.metricNames, JSON.encode(metricNames))
  }

  private func makeFullImage() throws(HoldfastError) -> UnsafeRawBufferPointer {
    let image = state.image()
    guard let ring, image.imageBytes + state.parts.bytes.count + 4096 <= ring.largestPayload else {
      throw HoldfastError(
        .stateTooLarge, "a full snapshot of \(image.imageBytes) bytes does not fit into the ring",
        hint: "set snapshotsAreFull to false: checkpoints are staged in the arena")
    }
    if fullImage.count != image.imageBytes {
      fullImage.deallocate()
      fullImage = .allocate(byteCount: image.imageBytes, alignment: 16)
    }
    image.write(into: fullImage)
    return UnsafeRawBufferPointer(fullImage)
  }

  // MARK: The end

  /// Marks the run as complete. The final state is staged and becomes the last checkpoint; exit with status 0
  /// afterwards. Without this call, no exit status is a success.
  public func finish() throws(HoldfastError) {
    guard let stager else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    stager.finish(onLeave: onLeave)
    finishedStep = step
  }

  // MARK: The best checkpoints

  /// The best checkpoint by the first policy with `--keep-best`; see `bestCheckpoints`.
  public var bestCheckpoint: BestCheckpoint? { bestCheckpoints().first }

  /// The checkpoints that a policy with `--keep-best` keeps, best first; empty without a supervisor or such a policy,
  /// and before the first checkpoint with the metric.
  ///
  /// The supervisor writes checkpoints while the loop runs, and then this returns what is known now. After `finish()` it
  /// waits for what is still being written.
  /// - Parameters:
  ///   - monitor: name of the policy's metric; nil: the first policy.
  ///   - wait: longest time to wait; nil: 60 s after `finish()`, else none.
  public func bestCheckpoints(monitor: String? = nil, wait: Duration? = nil) -> [BestCheckpoint] {
    guard let ring, let records, let runDirectory, !ForkGuard.isForked else { return [] }
    return BestCheckpointWait(
      ring: ring, records: records, runDirectory: runDirectory, attempt: ring.identity.attempt,
      logged: logCount, finishedStep: finishedStep
    ).checkpoints(monitor: monitor, timeout: wait ?? (finishedStep == nil ? .zero : .seconds(60)))
  }

  /// Records the error with which this process will fail, for the job's history.
  public func fail(_ error: any Error) {
    records?.append(.failure, JSON.encode(Failure(type: "\(type(of: error))", message: "\(error)")))
    records?.flush()
  }

  // MARK: Saving and loading by hand

  /// Saves a checkpoint into `directory`, in the same way as the supervisor, with or without one.
  /// - Returns: its path, for `load(from:)` and `Checkpoint.load`.
  @discardableResult
  public func save(to directory: FilePath, job: String? = nil) throws(HoldfastError) -> FilePath {
    if directory.isURL { throw NamedCheckpoint.isURL(directory, .cannotSave) }
    let image = state.image()
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.imageBytes, alignment: 4096)
    defer { bytes.deallocate() }
    image.write(into: bytes)
    let attempt = resumeFile?.attempt ?? 0
    var manifest = Manifest(
      job: job ?? resumeFile?.job ?? "standalone", jobID: (resumeFile?.jobID ?? JobID()).hexadecimal,
      attempt: attempt, generation: resumeFile?.generation ?? 0, cutID: CutID().hexadecimal, step: step,
      epoch: epoch, batch: batch, samples: samples, createdAt: Timestamp.text(Clock.wallNanoseconds),
      metrics: metricValues)
    manifest.hyperparameters = hyperparameters
    let checkpoints = LocalCheckpoints(directory: directory, followsLink: true)
    do {
      return checkpoints.path(
        of: try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest).name)
    } catch {
      throw HoldfastError(.cannotSave, error, hint: "df \(directory)")
    }
  }

  /// Fully verifies and loads a checkpoint that the user names: components, random sources, samplers and counters.
  /// - Parameters:
  ///   - checkpoint: its directory, or a `.safetensors` file of one.
  ///   - strict: whether it must contain exactly the registered components. What it lacks starts as registered,
  ///     and `notLoaded` lists it.
  public func load(from checkpoint: FilePath, strict: Bool = true) throws(HoldfastError) {
    let (image, manifest) = try NamedCheckpoint(path: checkpoint).read()
    if manifest?.weightsOnly == true {
      throw HoldfastError(
        .cannotRestore, "the checkpoint has only weights, so a run cannot be continued from it",
        path: checkpoint,
        hint: "use Checkpoint.load, and load the state of its components")
    }
    try state.load(image, strict: strict, checkpoint)
  }
}
