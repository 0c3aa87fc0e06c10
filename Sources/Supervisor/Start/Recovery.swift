import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Recovers what an earlier supervisor left, before anything is started: its processes, unread records in its ring,
/// attempts without an end, checkpoints that the store does not list.
enum Recovery {
  struct Result {
    var directories: JobDirectory
    var store: JobStore
    var writer: StoreWriter
    var mailbox: Mailbox<Runtime.Report>
    var checkpoints: LocalCheckpoints
    /// Outside of the state directory; nil: in it.
    var ownDirectory: CheckpointDirectory?
    var candidates: ResumeCandidates
    var job: JobRecord
    var mark: JobMark
    var standing: Standing
    var choice: ResumeCandidates.Choice
    var records: [CheckpointRecord]
    var lastRecordedStep: UInt64?
    var metricNames: [String]
    var deviation: Deviation?
    /// Metrics that the trainer reported after its newest step.
    var logged: StepMetrics?
    /// Monitored metrics that were reported as missing.
    var missingMetrics: Set<String>
    /// The trainer's own files that are not its checkpoints.
    var ignored: [AdoptedFile] = []
  }

  static func recover(
    _ configuration: Configuration, _ directories: JobDirectory, _ store: JobStore, _ job: JobRecord,
    _ stateDirectory: OpenFile, _ ownDirectory: CheckpointDirectory?, _ mark: JobMark, _ locks: LockTable,
    _ service: ServiceLink
  ) throws -> Result {
    let mailbox = try Mailbox<Runtime.Report>()
    try Leftovers(job, directories, mark, store, locks).end(timeout: .seconds(10))
    let writer = try StoreWriter(
      store, lookInterval: configuration.lookInterval, commitInterval: configuration.commitInterval,
      isWatched: ReaderMark.watch(directories.state), report: { mailbox.post(.store($0)) })
    service.watch(writer)
    var standing = (try store.document("standing") ?? Standing()).plausible
    if standing.jitter == 0 { standing.jitter = Clock.wallNanoseconds }
    let drained = try drainRing(directories, job, writer, mailbox, &standing)
    try closeAttempts(store, writer, drained)
    standing.attempt = max(standing.attempt, try store.attempts.newest(1).last?.attempt ?? 0)

    let checkpoints = LocalCheckpoints(
      directory: directories.checkpoints, below: ownDirectory?.directory ?? stateDirectory)
    removeUnfinished(checkpoints)
    try directories.removeArenasOfEarlierBoots()
    let records = try adoptCheckpoints(checkpoints, store, writer, job)
    // Attempt numbers stay unique even if the store lost its records.
    standing.attempt = max(standing.attempt, records.map(\.attempt).max() ?? 0)
    let candidates = ResumeCandidates(
      directories, jobID: job.id, slotCount: configuration.policy.slotCount,
      adopts: configuration.adoption != nil, checkpoints: checkpoints)
    for slot in 0..<UInt32(configuration.policy.slotCount) {
      standing.attempt = max(standing.attempt, candidates.image(slot)?.description.attempt ?? 0)
    }
    let choice = candidates.choose(
      store: store, records: records, ResumeCandidates.Knowledge(), deaths: standing.countedDeaths)
    if choice.source == nil {
      _ = try InitialWeights(directories, job.id)
        .point(thorough: true, isRequired: ResumeFromAction.beganWithWeights(store))
    }
    var result = Result(
      directories: directories, store: store, writer: writer, mailbox: mailbox, checkpoints: checkpoints,
      ownDirectory: ownDirectory, candidates: candidates, job: job, mark: mark, standing: standing,
      choice: choice, records: records,
      lastRecordedStep: try store.newestSnapshots(1).last?.step, metricNames: try store.metricNames(),
      deviation: try store.deviation(), logged: try store.document(LoggedMetrics.document),
      missingMetrics: try store.document(LoggedMetrics.missingDocument) ?? [])
    if let adoption = configuration.adoption { result.ignored = try AdoptionStart.ignored(adoption, result) }
    return result
  }

  /// They take space and do no harm: a disk that is full or read-only must not prevent the start.
  private static func removeUnfinished(_ checkpoints: LocalCheckpoints) {
    for remove in [checkpoints.removeLeftovers, checkpoints.removeUnfinishedLoads] {
      do { try remove() } catch { Console.warning("\(error)") }
    }
  }

  /// Drains records that the earlier supervisor had not committed.
  private static func drainRing(
    _ directories: JobDirectory, _ job: JobRecord, _ writer: StoreWriter, _ mailbox: Mailbox<Runtime.Report>,
    _ standing: inout Standing
  ) throws -> [Drained] {
    let ring: RingReader
    do {
      ring = try RingReader.open(directory: directories.run)
    } catch {
      if error.code != .missing { Console.warning("the ring of the earlier attempt is unusable: \(error)") }
      return []
    }
    guard ring.identity.jobID == job.id else { return [] }
    guard ring.identity.attempt <= Standing.largestAttempt else {
      Console.warning(
        "the ring of the earlier attempt is unusable: it names attempt \(ring.identity.attempt)")
      return []
    }
    // A dying process loses its environment, by which it is found, before its files are closed.
    for _ in 0..<1000 where ring.isHeld { usleep(10_000) }
    if ring.isHeld {
      throw SupervisorError(
        .leftoverProcess, "a trainer of an earlier attempt is still running", path: directories.run,
        hint: "fuser -v \(directories.run)/ring-0")
    }
    standing.attempt = max(standing.attempt, ring.identity.attempt)
    let gate = Gate()
    writer.attach(ring, attempt: ring.identity.attempt)
    writer.detach { gate.open() }
    gate.wait()
    return mailbox.drain().compactMap { report in
      if case .store(.drained(let drained)) = report { return drained }
      // A report on the store itself: for the loop, which is not running yet.
      mailbox.post(report)
      return nil
    }
  }

  /// Records the end of attempts that ended while no supervisor was running.
  private static func closeAttempts(_ store: JobStore, _ writer: StoreWriter, _ drained: [Drained]) throws {
    let boot = ProcessTable.bootID
    for var attempt in try store.unendedAttempts() {
      for part in drained where part.attempt == attempt.attempt {
        attempt.steps = [attempt.steps, part.snapshots].saturatingSum
        attempt.replayedSteps = [attempt.replayedSteps, part.audit.replayed].saturatingSum
        if let difference = part.audit.firstDifference, attempt.differsAtStep == nil {
          attempt.differsAtStep = difference.step
          attempt.differsIn = difference.part
          attempt.differences = difference.items
        }
        for case .finished(let answer) in part.controls { attempt.finishedStep = answer.step }
      }
      let newest = try store.newestSnapshots(1).last
      if let newest, newest.attempt == attempt.attempt {
        attempt = attempt.updated(to: newest)
        attempt.endedAtNs = max(attempt.startedAtNs, newest.timeNs)
      } else {
        // It died during the replay: the newest row is that of an earlier attempt.
        let last = drained.filter { $0.attempt == attempt.attempt }.compactMap(\.newest).last
        if let last {
          attempt.firstStep = attempt.firstStep ?? drained.compactMap(\.firstStep).first
          attempt.lastStep = last.step
        }
        attempt.endedAtNs = max(
          attempt.startedAtNs, last?.timeNs ?? attempt.lastStepAtNs ?? attempt.startedAtNs)
      }
      attempt.running = false
      let wasPreempted = attempt.notice != nil && attempt.boot != boot
      let cause: Cause = attempt.boot == boot ? .orphaned : wasPreempted ? .preempted : .rebooted
      attempt.cause = Stored(cause)
      attempt.outcome = Stored(cause.outcome)
      _ = writer.submitAndWait([.attempt(attempt)])
      let what = attempt.boot == boot ? "its supervisor was killed" : "the machine was restarted"
      Console.write(
        .init(
          text: "attempt \(attempt.attempt) ended while no supervisor was running: \(what)",
          kind: .attemptOrphaned,
          attempt: attempt.attempt, step: attempt.lastStep))
    }
  }

  /// Reconciles the list with the checkpoints on disk: one that was published but not recorded is listed.
  private static func adoptCheckpoints(
    _ checkpoints: LocalCheckpoints, _ store: JobStore, _ writer: StoreWriter, _ job: JobRecord
  ) throws -> [CheckpointRecord] {
    var records = try store.checkpoints()
    let names = Set(try checkpoints.names())
    for record in records where !names.contains(record.name) {
      Console.warning(
        "checkpoint \(record.name) is listed but missing from \(checkpoints.directory)", .checkpointMissing)
      writer.submit([.removeCheckpoint(record)])
    }
    records.removeAll { !names.contains($0.name) }
    for record in UnlistedCheckpoints.find(in: checkpoints, names, of: job.id, listed: records) {
      records.append(record)
      writer.submit([.checkpoint(record)])
      Console.line("found checkpoint \(record.name), which was not listed", .checkpointFound)
    }
    return records
  }
}
