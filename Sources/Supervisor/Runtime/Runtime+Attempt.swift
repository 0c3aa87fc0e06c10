import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

// One attempt, from its record in the store to the last of its processes.
extension Runtime {
  func start(_ number: UInt64, from: ResumePoint, skips: [BatchPosition]) {
    metrics?.keep(attempt.record)
    attempt.begin(number, boot: boot, resumedFrom: resumedFrom, notice: noticeRecord)
    degradations.forget("ring", "records")
    stacks.begin()
    // Durable before the launch: an attempt's number is never given twice. With a store that cannot
    // be written the job goes on all the same; the ring's header knows the number too. The same commit takes
    // what the last attempt left in its ring.
    let commit = writer.begin([.attempt(attempt.record), .live(live(.starting))])
    do {
      let child = try launch(number, skips, after: commit)
      attempt.update {
        $0.pid = child.pid
        $0.pidStartTime = processes.startTime
        $0.stateIdentity = mark.stateID
      }
      if let pause = processes.firstLook { arm(.census, at: Self.now.monotonic + pause) }
      try watch(child)
      logStart(from)
      send(.started)
      serviceIsReady()
      readResumePoint()
      // It is the last one's, cleaned: not while the writer may have to read it once more.
      if commit.isDurable { prepareNextRing() }
    } catch let failure as TrainerCommand.Failure {
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

  /// - Parameter commit: of the attempt's record. What needs no record is done while it is under way.
  private func launch(
    _ number: UInt64, _ skips: [BatchPosition], after commit: StoreWriter.Commit
  ) throws -> ChildProcess {
    let path = try command.find()
    try prepareRunDirectory()
    commit.wait(patience: .seconds(5))
    do {
      let identity = RingIdentity(
        jobID: job.id, attempt: number, generation: number, arenaSlots: UInt32(configuration.policy.slotCount)
      )
      let ring = try RingReader.create(
        directory: directories.run, identity: identity, capacityBytes: configuration.ringBytes)
      try writeResumeFile(number, skips)
      link.open(ring, isUnread: catalogue.choice.isUnread, initialSlot: state.initialSlot)
      writer.attach(ring, attempt: number)
    } catch {
      throw TrainerCommand.Failure(
        kind: error.code == .noRoom ? .noRoom : .other(errno: error.errno?.rawValue ?? EIO), why: "\(error)")
    }
    do {
      return try processes.launch(command, path, attempt: number, boot: boot)
    } catch {
      writer.detach {}
      throw error
    }
  }

  /// Somebody may have cleared it away since: logind at logout, a person.
  private func prepareRunDirectory() throws {
    do {
      if runDirectory.displacement == nil {
        try directories.prepareRun()
      } else if try !runDirectory.takeAgain() {
        throw TrainerCommand.Failure(
          kind: .other(errno: EBUSY), why: "the run directory is used by another job")
      }
    } catch let error as SupervisorError {
      throw TrainerCommand.Failure(
        kind: .other(errno: ENOENT), why: error.what + (error.why.map { ": \($0)" } ?? ""))
    }
  }

  func writeResumeFile(_ number: UInt64, _ skips: [BatchPosition]) throws(ProtocolError) {
    try ResumeFile(
      job: job.job, jobID: job.id, attempt: number, generation: number, point: catalogue.choice.file,
      lastRecordedStep: attempt.furthestStep, skip: skips.map { .init(epoch: $0.epoch, batch: $0.batch) },
      hyperparameters: job.hyperparameters
    ).write(in: directories.run)
  }

  private func startFailed(_ kind: StartFailure, _ why: String) {
    attempt.startFailed(why)
    fatalErrno = kind.errno
    send(.startFailed(kind))
  }

  private func logStart(_ from: ResumePoint) {
    let number = state.standing.attempt
    let place: String =
      switch from {
      case .beginning: "started from the beginning"
      case .checkpoint: "resumed from \(from.words)"
      }
    let window = attempt.furthestStep.map { $0 > from.step ? $0 - from.step : 0 } ?? 0
    let replay = window == 0 ? "" : ", \(Words.count(window, "step")) to replay"
    events.log(.attemptStarted, "attempt \(number) \(place)\(replay)", step: from.step)
    for batch in state.standing.skips {
      events.log(.skipBatch, "attempt \(number) leaves out \(Note.words(batch))")
    }
  }

  // MARK: The end

  func childExited() {
    guard let child = processes.child else { return }
    do {
      guard let status = try child.reap() else { return }
      unwatch(child)
      if let kills = processes.oomKills { attempt.note { $0.oomKills = kills } }
      attempt.note { $0.peakResidentBytes = child.usage.map { UInt64($0.peakResidentBytes) } }
      switch status {
      case .exited(let code):
        attempt.note { $0.exitStatus = code }
        if code == 0, state.attempt?.attached == false { reportBackgroundWork() }
        // A shell around the trainer tells its child's SIGKILL so.
        let ranOut = code == 128 + SIGKILL && ranOutOfMemory(child.pid)
        send(.exited(.exited(code), outOfMemory: ranOut, restoring: link.isRestoring))
      case .signaled(let signal):
        attempt.note { $0.signal = signal }
        let ranOut = signal == SIGKILL && ranOutOfMemory(child.pid)
        send(.exited(.signaled(signal), outOfMemory: ranOut, restoring: link.isRestoring))
      }
    } catch {
      Console.warning("cannot learn how the trainer ended: \(error)")
      unwatch(child)
      send(.exited(.signaled(SIGKILL)))
    }
  }

  /// Exit 0 of a program without the protocol is its end, whatever it has in the background: `setsid -f`, `&`.
  private func reportBackgroundWork() {
    let left = processes.remaining
    guard !left.isEmpty else { return }
    events.log(
      .backgroundWork,
      "the command exited with status 0 while processes that it started still ran (\(Words.pids(left))); they are "
        + "ended with it: start the program in the foreground",
      isWarning: true)
  }

  private func ranOutOfMemory(_ pid: pid_t) -> Bool {
    if attempt.record.oomKills ?? 0 > 0 { return true }
    guard processes.isNamedAsOutOfMemory(pid) else { return false }
    attempt.note { $0.oomKills = 1 }
    return true
  }

  /// Clears the tree; then drains the ring to its end and, when that is reported, tells the core.
  func clear() {
    if let pause = processes.clear(attempt: attempt.record.attempt, now: Self.now.monotonic) {
      return arm(.clearing, at: Self.now.monotonic + pause)
    }
    try? timers.disarm(.census)
    writer.detach(durable: false) { [mailbox] in mailbox.post(.detached) }
  }

  func lookAtProcesses() {
    guard let pause = processes.lookAround() else { return }
    arm(.census, at: Self.now.monotonic + pause)
  }

  /// The ring is drained, and everything in it was reported.
  func cleared() {
    let reachedItsLoop = state.attempt?.attached == true && link.isPastRestoring
    link.close()
    // What the trainer itself said of its end comes first.
    if attempt.record.failure == nil, let failure = stacks.read() { attempt.note { $0.failure = failure } }
    catalogue.choose(deaths: state.standing.restoreDeaths ?? [])
    logReplay(atEnd: true)
    let failure = attempt.record.failure.map {
      FailurePlace(type: $0.type, message: $0.message, traceback: $0.traceback)
    }
    send(
      .cleared(
        Remains(
          resume: catalogue.choice.point, progress: progress(reachedItsLoop), slots: catalogue.choice.slots,
          failure: failure,
          furthest: attempt.furthestStep ?? 0)))
    // The start of the next attempt has committed what this one left. Without one nobody waits for it.
    writer.commit()
  }

  /// - Parameter reachedItsLoop: it attached, and has loaded its state; else it died in no batch.
  private func progress(_ reachedItsLoop: Bool) -> Progress? {
    if let step = attempt.record.lastStep, let position = attempt.position {
      return Progress(step: step, position: position, batchesPerEpoch: job.batchesPerEpoch)
    }
    // Died before its first step: in the batch after the newest one that was ever recorded.
    guard reachedItsLoop, let row = (try? store.newestSnapshots(1))?.last else { return nil }
    return Progress(
      step: row.step, position: BatchPosition(epoch: row.epoch, batch: row.batch),
      batchesPerEpoch: job.batchesPerEpoch)
  }
}
