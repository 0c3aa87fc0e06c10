import Vocabulary

/// Everything that the core reacts to.
public enum Event: Hashable, Sendable {
  /// The store is open, what an earlier supervisor left is recovered, no trainer is running.
  case begin(Remains)
  case started
  case startFailed(StartFailure)
  /// The trainer uses the protocol.
  /// - Parameter offersStacks: it offers a signal at which it writes the stack of each thread.
  case attached(offersStacks: Bool = false)
  /// Steps were recorded up to this one.
  case stepped(Progress)
  /// The trainer is alive between steps (`safepoint()`).
  case heartbeat
  case answered(sequence: UInt64, StageOutcome)
  /// The trainer reported that it finished. The final state is in `slot` if it could be staged.
  case finished(step: UInt64, slot: Int?)
  case published(slot: Int, step: UInt64, took: Duration)
  /// A file that the trainer wrote itself was copied into a durable checkpoint.
  /// - Parameter number: of the copy; it counts as a step.
  case adopted(number: UInt64)
  /// - Parameter isDamaged: the image differs from what was staged, so a retry is useless.
  case publishFailed(slot: Int, step: UInt64, isDamaged: Bool = false)
  /// - Parameters:
  ///   - outOfMemory: the kernel killed it because memory ran out.
  ///   - restoring: it was loading its resume point.
  case exited(ExitStatus, outOfMemory: Bool = false, restoring: Bool = false)
  /// The resume point of the next attempt, or the one that this attempt has not loaded yet, is damaged.
  case resumePointDamaged(Replacement)
  /// The choice was made again in the pause before an attempt.
  case resumePointChosen(ResumePoint)
  /// The trainer loaded a damaged resume point because it did not wait for the verdict.
  case loadedDamagedPoint
  /// The trainer staged its state without a request, before its first step.
  case stagedInitially(slot: Int, StageOutcome)
  /// The whole tree is gone and the ring drained.
  case cleared(Remains)
  case timer(TimerKind)
  /// SIGTERM or SIGINT to the supervisor.
  case stopRequested
  /// SIGUSR1 to the supervisor.
  case checkpointRequested
  /// The machine will be taken away at a given time.
  case preemptionNotice(PreemptionNotice)
  /// The machine may be taken away.
  case preemptionWarning(source: String, text: String)
  /// The machine will not be taken away after all.
  /// - Parameter event: identifies the notice; empty: any notice.
  case preemptionCancelled(event: String = "")
  /// The configuration was reloaded after SIGHUP.
  case policyChanged(Policy)
}
