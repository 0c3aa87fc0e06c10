import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import Synchronization
import SystemPackage
import TrainerProtocol

/// Makes staged checkpoints durable, on a separate thread, one at a time.
final class Publisher: Sendable {
  struct Order: Sendable {
    var slot: Int
    var step: UInt64
    var job: JobRecord
    /// `CheckpointReason.word` of each.
    var savedFor: [String]
    /// The policy whose template names the checkpoint of the whole state; nil: none is made.
    var whole: CheckpointPolicy?
    /// The policy whose template names the checkpoint with only weights; nil: none is made.
    var weights: CheckpointPolicy?
    /// Returns the metrics of the step, if known. Called on the publishing thread, since the store may be on a disk
    /// that stalls.
    var metrics: @Sendable () -> [String: Double]
  }

  struct Publication: Sendable {
    var order: Order
    /// The checkpoint of the whole state first.
    var records: [CheckpointRecord] = []
    /// Why there is none with only weights, though one was ordered.
    var weightsFault: String?
    var took: Duration = .zero
  }

  enum Result: Sendable {
    case published(Publication)
    case failed(Order, String)
    /// The slot does not contain what was staged into it.
    case damaged(Order, String)
  }

  private let candidates: @Sendable (UInt32) -> StagedImage?
  /// Progress of the running publication.
  final class Progress: Sendable {
    let writtenBytes = Atomic<UInt64>(0)
    let totalBytes = Atomic<UInt64>(0)
  }

  let progress: Progress
  private let checkpoints: LocalCheckpoints
  /// The same directory, without counting reads as progress of a publication.
  private let reading: LocalCheckpoints
  private let cancelled = Atomic(false)
  private let digests: ImageDigests
  /// Called before each publication.
  private let restore: @Sendable () throws -> Void

  /// - Parameters:
  ///   - directory: of the checkpoints.
  ///   - parent: the state directory; see `LocalCheckpoints`.
  ///   - restore: creates the directory again if it was removed, and may be.
  init(
    _ directory: FilePath, below parent: OpenFile, _ digests: ImageDigests,
    restore: @escaping @Sendable () throws -> Void, image: @escaping @Sendable (UInt32) -> StagedImage?
  ) {
    self.digests = digests
    self.restore = restore
    let progress = Progress()
    self.progress = progress
    checkpoints = LocalCheckpoints(directory: directory, below: parent) { bytes in
      progress.writtenBytes.add(UInt64(bytes), ordering: .relaxed)
    }
    reading = LocalCheckpoints(directory: directory, below: parent)
    candidates = image
  }

  /// Publishes as `order` says and passes the result to `completion` on the publishing thread.
  func publish(_ order: Order, _ completion: @escaping @Sendable (Result) -> Void) {
    // Lower priority than the trainer: the digest keeps a processor busy for a while.
    let work: @Sendable () -> Void = { [self] in completion(run(order)) }
    do {
      try NativeThread.start(niceness: 5, work)
    } catch {
      completion(.failed(order, "\(error)"))
    }
  }

  /// Verifies a checkpoint in full; `completion` gets its fault, or nil if it is whole.
  func read(_ record: CheckpointRecord, _ completion: @escaping @Sendable (String?) -> Void) {
    let work: @Sendable () -> Void = { [reading] in
      completion(reading.verify(record.name, thorough: true).fault)
    }
    do {
      try NativeThread.start(niceness: 5, work)
    } catch {
      Console.warning("cannot read checkpoint \(record.name): \(error)")
    }
  }

  /// Stops the running publication at its next chunk, and any later one at its first.
  func cancel() { cancelled.store(true, ordering: .relaxed) }

  /// nil: the default name.
  private static func name(
    _ policy: CheckpointPolicy, _ loop: ImageLoop, _ metrics: [String: Double]
  ) -> String? {
    guard let text = policy.nameTemplate, let template = try? NameTemplate(text) else { return nil }
    // At the beginning of an epoch the state is that of the end of the one before.
    let epoch = loop.batch == 0 && loop.epoch > 0 ? loop.epoch - 1 : loop.epoch
    return template.name(
      epoch: epoch, step: loop.step, metrics: metrics, insertsNames: policy.insertsMetricNames)
  }

  /// Makes the link `last` name this checkpoint, on the publishing thread.
  func pointLast(to record: CheckpointRecord) {
    let work: @Sendable () -> Void = { [reading] in
      do throws(CheckpointError) {
        try reading.pointLast(to: record.name)
      } catch {
        Console.warning("cannot update the link to the newest checkpoint: \(error)")
      }
    }
    do {
      try NativeThread.start(niceness: 5, work)
    } catch {
      Console.warning("cannot update the link to the newest checkpoint: \(error)")
    }
  }

  /// Whatever becomes of the weights, the whole state that was published before is durable.
  /// - Throws: `damaged`.
  private func publishWeights(
    _ image: StagedImage, _ manifest: Manifest, _ name: String?, _ publication: inout Publication
  ) throws(CheckpointError) {
    let (cut, began) = (image.description.cutID.weights, Clock.monotonicNanoseconds)
    var manifest = manifest
    manifest.cutID = cut.hexadecimal
    do throws(CheckpointError) {
      let published = try checkpoints.publishWeights(
        of: image.bytes, manifest, name: name, isIntact: { image.isIntact },
        isCancelled: { @Sendable [self] in cancelled.load(ordering: .relaxed) })
      publication.add(published, cut, since: began)
    } catch {
      if error.code == .damaged || !image.isIntact { throw error }
      publication.weightsFault = "\(error)"
    }
  }

  private func run(_ order: Order) -> Result {
    guard let image = candidates(UInt32(order.slot)), image.description.step == order.step else {
      return .failed(order, "slot \(order.slot) no longer holds step \(order.step)")
    }
    let began = Clock.monotonicNanoseconds
    do {
      try restore()
    } catch {
      return .failed(order, "\(error)")
    }
    progress.writtenBytes.store(0, ordering: .relaxed)
    progress.totalBytes.store(UInt64(image.bytes.count), ordering: .relaxed)
    let description = image.description
    let metrics = order.metrics()
    do {
      let loop = try ImageReader.loop(image.bytes)
      var manifest = Manifest(
        job: order.job.job, jobID: order.job.id.hexadecimal, attempt: description.attempt,
        generation: description.generation, cutID: description.cutID.hexadecimal, step: order.step,
        epoch: loop.epoch, batch: loop.batch, samples: loop.samples,
        createdAt: Timestamp.text(Clock.wallNanoseconds), metrics: metrics)
      manifest.hyperparameters = order.job.hyperparameters
      if let fault = ResumeCandidates.fault(of: image) { return .damaged(order, fault) }
      let slot = UInt32(order.slot)
      var publication = Publication(order: order)
      if let policy = order.whole {
        let published = try checkpoints.publish(
          image: image.bytes, manifest, name: Self.name(policy, loop, metrics),
          isIntact: { image.isIntact },
          isCancelled: { @Sendable [self] in cancelled.load(ordering: .relaxed) },
          expected: { @Sendable [digests] in digests.awaitedDigest(slot, of: description.cutID)?.digest })
        publication.add(published, description.cutID, since: began)
      }
      if let policy = order.weights {
        try publishWeights(image, manifest, Self.name(policy, loop, metrics), &publication)
      }
      // A manifest has only finite ones.
      for index in publication.records.indices { publication.records[index].metrics = metrics }
      publication.took = .nanoseconds(Clock.monotonicNanoseconds - began)
      return .published(publication)
    } catch {
      // If the image was truncated, the error above is only a consequence.
      let isIntact = image.isIntact
      let what = isIntact ? "\(error)" : "the staged image was truncated while it was read: \(image.path)"
      return error.code == .damaged || !isIntact ? .damaged(order, what) : .failed(order, what)
    }
  }
}

extension Publisher.Publication {
  fileprivate mutating func add(_ published: PublishedCheckpoint, _ cut: CutID, since beganNs: UInt64) {
    var record = CheckpointRecord(published, cut, since: beganNs)
    record.savedFor = order.savedFor
    record.weightsOnly = published.manifest.weightsOnly
    records.append(record)
  }
}
