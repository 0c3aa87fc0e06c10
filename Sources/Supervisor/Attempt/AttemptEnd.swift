import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import TrainerProtocol
import Vocabulary

/// Handles the end of an attempt: the trainer's exit, its remaining processes, and the rest of its ring.
struct AttemptEnd {
  let store: JobStore
  let writer: StoreWriter
  let core: Core
  let job: JobRecorder
  let attempt: AttemptRecorder
  let processes: TrainerProcesses
  let link: TrainerLink
  let stacks: HangStacks
  let catalogue: ResumeCatalogue
  let narrator: Narrator
  let events: EventLog
  let timers: Timers
  let mailbox: Mailbox<Runtime.Report>
  let loop: EventLoop

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
        if code == 0, core.state.attempt?.attached == false { reportBackgroundWork() }
        // A shell around the trainer reports its child's SIGKILL this way.
        let ranOut = code == 128 + SIGKILL && ranOutOfMemory(child.pid)
        core.send(.exited(.exited(code), outOfMemory: ranOut, restoring: link.isRestoring))
      case .signaled(let signal):
        attempt.note { $0.signal = signal }
        let ranOut = signal == SIGKILL && ranOutOfMemory(child.pid)
        core.send(.exited(.signaled(signal), outOfMemory: ranOut, restoring: link.isRestoring))
      }
    } catch {
      Console.warning("cannot get the trainer's exit status: \(error)")
      unwatch(child)
      core.send(.exited(.signaled(SIGKILL)))
    }
  }

  private func unwatch(_ child: ChildProcess) {
    // Closing the descriptor removes it too, but the order matters.
    try? loop.remove(child.descriptor)
  }

  /// Exit 0 of a program without the protocol ends the job, even with processes in the background (`setsid -f`, `&`).
  private func reportBackgroundWork() {
    let left = processes.remaining
    guard !left.isEmpty else { return }
    events.log(
      .backgroundWork,
      "the command exited with status 0 while processes that it started were still running "
        + "(\(Words.pids(left))); they are killed: run the program in the foreground",
      isWarning: true)
  }

  private func ranOutOfMemory(_ pid: pid_t) -> Bool {
    if attempt.record.oomKills ?? 0 > 0 { return true }
    guard processes.isNamedAsOutOfMemory(pid) else { return false }
    attempt.note { $0.oomKills = 1 }
    return true
  }

  /// Clears the tree, then drains the ring to its end and notifies the core.
  func clear() {
    if let pause = processes.clear(attempt: attempt.record.attempt, now: Moment.now.monotonic) {
      return timers.arm(.clearing, at: Moment.now.monotonic + pause)
    }
    timers.disarm(.census)
    writer.detach(durable: false) { [mailbox] in mailbox.post(.detached) }
  }

  func updateCensus() {
    guard let pause = processes.updateCensus() else { return }
    timers.arm(.census, at: Moment.now.monotonic + pause)
  }

  /// Called when the ring is drained and everything in it was reported.
  func cleared() {
    let reachedItsLoop = core.state.attempt?.attached == true && link.isPastRestoring
    link.close()
    // A failure that the trainer reported takes precedence.
    if attempt.record.failure == nil, let failure = stacks.read() { attempt.note { $0.failure = failure } }
    catalogue.choose(deaths: core.state.standing.restoreDeaths ?? [])
    narrator.logReplay(atEnd: true)
    let failure = attempt.record.failure.map {
      FailurePlace(type: $0.type, message: $0.message, traceback: $0.traceback)
    }
    core.send(
      .cleared(
        Remains(
          resume: catalogue.choice.point, progress: progress(reachedItsLoop), slots: catalogue.choice.slots,
          failure: failure,
          furthest: attempt.furthestStep ?? 0)))
    // The start of a next attempt has committed this. Otherwise nothing waits for the commit.
    writer.commit()
  }

  /// - Parameter reachedItsLoop: it attached and loaded its state; if not, it did not die in a batch.
  private func progress(_ reachedItsLoop: Bool) -> Progress? {
    if let step = attempt.record.lastStep, let position = attempt.position {
      return Progress(step: step, position: position, batchesPerEpoch: job.record.batchesPerEpoch)
    }
    // Died before its first step: in the batch after the newest recorded one.
    guard reachedItsLoop, let row = (try? store.newestSnapshots(1))?.last else { return nil }
    return Progress(
      step: row.step, position: BatchPosition(epoch: row.epoch, batch: row.batch),
      batchesPerEpoch: job.record.batchesPerEpoch)
  }
}
