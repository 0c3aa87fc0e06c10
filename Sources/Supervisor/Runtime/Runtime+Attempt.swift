import Glibc
import JobStore
import POSIX
import Preemption
import Supervision
import SystemPackage
import TrainerProtocol

// One attempt, from its record in the store to the last of its processes.
extension Runtime {
  func start(_ number: UInt64, from: ResumePoint, skips: [BatchPosition]) {
    metrics?.keep(attempt)
    attempt = AttemptRecord(
      attempt: number, generation: number, boot: boot, startedAtNs: Clock.wallNanoseconds,
      resumedFrom: resumedFrom)
    attempt.notice = noticeRecord
    replayIsTold = false
    newestPosition = nil
    toldSkipped = 0
    degraded["ring"] = nil
    degraded["records"] = nil
    unusableFields = []
    heartbeat = 0
    forgetStacks()
    // Durable before the launch: an attempt's number is never given twice. With a store that cannot
    // be written the job goes on all the same; the ring's header knows the number too. The same commit takes
    // what the last attempt left in its ring.
    let commit = writer.begin([.attempt(attempt), .live(live(stateName: "starting"))])
    outOfMemory = OutOfMemoryWatch(tree.cgroup, shared: sharedCgroup)
    do {
      let child = try launch(number, skips, after: commit)
      self.child = child
      attempt.pid = child.pid
      attempt.pidStartTime = trainerRecord?.trainer.startTime
      attempt.stateIdentity = mark.stateID
      beginCensus()
      writer.submit([.attempt(attempt)])
      try watch(child)
      tellStart(from)
      send(.started)
      serviceIsReady()
      readResumePoint()
      // It is the last one's, cleaned: not while the writer may have to read it once more.
      if commit.isDurable { prepareNextRing() }
    } catch let failure as LaunchFailure {
      startFailed(failure.kind, failure.why)
    } catch {
      startFailed(.other(errno: (error as? POSIXError)?.errno.rawValue ?? EIO), "\(error)")
    }
  }

  private func prepareNextRing() {
    do {
      try RingReader.prepareNext(directory: directories.run, capacityBytes: configuration.ringBytes)
    } catch {
      // The next start says it, if it is still so then.
    }
  }

  private struct LaunchFailure: Error {
    var kind: StartFailure
    var why: String
  }

  /// - Parameter commit: of the attempt's record. What needs no record is done while it is under way.
  private func launch(
    _ number: UInt64, _ skips: [BatchPosition], after commit: StoreWriter.Commit
  ) throws -> ChildProcess {
    let path = try find(configuration.command[0])
    let environment = environment(number)
    do {
      // Somebody may have cleared it away since: logind at logout, a person.
      if runDirectory.displacement == nil {
        try directories.prepareRun()
      } else if try !takeRunDirectory() {
        throw LaunchFailure(kind: .other(errno: EBUSY), why: "the run directory is used by another job")
      }
    } catch let error as SupervisorError {
      throw LaunchFailure(kind: .other(errno: ENOENT), why: error.what + (error.why.map { ": \($0)" } ?? ""))
    }
    commit.wait(patience: .seconds(5))
    do {
      let identity = RingIdentity(
        jobID: job.id, attempt: number, generation: number, arenaSlots: UInt32(configuration.policy.slotCount)
      )
      let ring = try RingReader.create(
        directory: directories.run, identity: identity, capacityBytes: configuration.ringBytes)
      try writeResumeFile(number, skips)
      self.ring = ring
      prepareResumePoint(ring)
      writer.attach(ring, attempt: number)
    } catch {
      throw LaunchFailure(
        kind: error.code == .noRoom ? .noRoom : .other(errno: error.errno?.rawValue ?? EIO), why: "\(error)")
    }
    do {
      return try spawn(path, environment, number)
    } catch {
      writer.detach {}
      throw launchFailure(error, path)
    }
  }

  private func spawn(
    _ path: FilePath, _ environment: [String], _ number: UInt64
  ) throws(POSIXError) -> ChildProcess {
    // Ignored SIGCHLD would keep it from waiting for its own children.
    let ignored = SignalDispositions.inherited & ~(1 << UInt64(SIGCHLD - 1))
    return try ChildProcess(
      .init(
        path: path, arguments: configuration.command, environment: environment,
        cgroup: try tree.cgroup?.openProcs(), ignoredSignals: ignored)
    ) { [unowned self] pid throws(POSIXError) in try keepTrainer(pid, number) }
  }

  private func launchFailure(_ error: POSIXError, _ path: FilePath) -> LaunchFailure {
    guard error.operation == "execve" else {
      return LaunchFailure(
        kind: error.errno.isNoRoom ? .noRoom : .other(errno: error.errno.rawValue), why: "\(error)")
    }
    switch error.errno {
    case .noSuchFileOrDirectory:
      return LaunchFailure(kind: .notFound, why: Executable.missingInterpreter(of: path) ?? "\(error)")
    case .execFormatError:
      // A shell would run a text without it, and with it nobody needs to guess.
      let hint = Executable.isText(path) ? "; it is a text, and has no line '#!/bin/sh' or the like" : ""
      return LaunchFailure(kind: .notExecutable, why: "\(error)\(hint)")
    case .permissionDenied, .notDirectory, .tooManySymbolicLinkLevels:
      return LaunchFailure(kind: .notExecutable, why: "\(error)")
    default: return LaunchFailure(kind: .other(errno: error.errno.rawValue), why: "\(error)")
    }
  }

  func writeResumeFile(_ number: UInt64, _ skips: [BatchPosition]) throws(ProtocolError) {
    try ResumeFile(
      job: job.job, jobID: job.id, attempt: number, generation: number, point: choice.file,
      lastRecordedStep: lastRecordedStep, skip: skips.map { .init(epoch: $0.epoch, batch: $0.batch) },
      hyperparameters: job.hyperparameters
    ).write(in: directories.run)
  }

  private func find(_ name: String) throws(LaunchFailure) -> FilePath {
    do {
      return try Executable.find(name, environment: configuration.environment)
    } catch {
      switch error {
      case .notFound: throw LaunchFailure(kind: .notFound, why: "\(name): no such file")
      case .notExecutable(let path, let code):
        throw LaunchFailure(kind: .notExecutable, why: "\(path): \(code)")
      }
    }
  }

  /// What the supervisor inherited, less what systemd said to it alone, and the run directory.
  private func environment(_ number: UInt64) -> [String] {
    let ours = ["NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "HOLDFAST_"]
    return configuration.environment.filter { entry in !ours.contains { entry.hasPrefix($0) } } + [
      "\(RunEnvironment.runDirectory)=\(directories.run)", "\(RunEnvironment.attempt)=\(number)",
    ] + mark.environment
  }

  /// For programs that help the supervisor: the job's mark, by which the next one finds what is left of
  /// them, and the endpoints that the user named.
  var helperEnvironment: [String] {
    let ours = ["NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"] + RunEnvironment.all.map { "\($0)=" }
    return configuration.environment.filter { entry in !ours.contains { entry.hasPrefix($0) } }
      + mark.environment
  }

  private func startFailed(_ kind: StartFailure, _ why: String) {
    attempt.running = false
    attempt.endedAtNs = Clock.wallNanoseconds
    attempt.outcome = "failed"
    attempt.cause = "start_failed"
    attempt.failure = Failure(type: "start failed", message: why)
    writer.submit([.attempt(attempt)])
    fatalErrno = kind.errno
    send(.startFailed(kind))
  }

  // MARK: The end

  func childExited() {
    guard let child else { return }
    do {
      guard let status = try child.reap() else { return }
      unwatch(child)
      if let killed = outOfMemory?.killed, killed > 0 { attempt.oomKills = killed }
      attempt.peakResidentBytes = child.usage.map { UInt64($0.peakResidentBytes) }
      switch status {
      case .exited(let code):
        attempt.exitStatus = code
        // A shell around the trainer tells its child's SIGKILL so.
        let ranOut = code == 128 + SIGKILL && ranOutOfMemory(child.pid)
        send(.exited(.exited(code), outOfMemory: ranOut, restoring: isRestoring))
      case .signaled(let signal):
        attempt.signal = signal
        let ranOut = signal == SIGKILL && ranOutOfMemory(child.pid)
        send(.exited(.signaled(signal), outOfMemory: ranOut, restoring: isRestoring))
      }
    } catch {
      Console.warning("cannot learn how the trainer ended: \(error)")
      unwatch(child)
      send(.exited(.signaled(SIGKILL)))
    }
  }

  private var isRestoring: Bool { ring?.restoring == .takes }

  private func ranOutOfMemory(_ pid: pid_t) -> Bool {
    if attempt.oomKills ?? 0 > 0 { return true }
    guard outOfMemory?.names(pid) ?? false else { return false }
    attempt.oomKills = 1
    return true
  }

  /// Clears the tree; then drains the ring to its end and, when that is reported, tells the core.
  func clear() {
    if tree.clear(group: child?.pid, sparing: preemption?.session) {
      child = nil
      endCensus()
      writer.detach(durable: false) { [mailbox] in mailbox.post(.detached) }
    } else {
      clearingPause = min(clearingPause * 2, .milliseconds(50))
      tellRemaining()
      arm(.clearing, at: Self.now.monotonic + clearingPause)
    }
  }

  /// The ring is drained, and everything in it was told.
  func cleared() {
    ring = nil
    keepStacks()
    chooseResumePoint()
    tellReplay(atEnd: true)
    var progress: Progress?
    if let step = attempt.lastStep, let newest = newestPosition {
      progress = Progress(step: step, position: newest, batchesPerEpoch: job.batchesPerEpoch)
    } else if let row = (try? store.newestSnapshots(1))?.last {
      // Died before its first step: in the batch after the newest one that was ever recorded.
      progress = Progress(
        step: row.step, position: BatchPosition(epoch: row.epoch, batch: row.batch),
        batchesPerEpoch: job.batchesPerEpoch)
    }
    let failure = attempt.failure.map {
      FailurePlace(type: $0.type, message: $0.message, traceback: $0.traceback)
    }
    send(
      .cleared(
        Remains(
          resume: choice.point, progress: progress, slots: choice.slots, failure: failure,
          furthest: lastRecordedStep ?? 0)))
    // The start of the next attempt has committed what this one left. Without one nobody waits for it.
    writer.commit()
  }
}
