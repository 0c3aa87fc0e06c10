import JobStore
import POSIX
import Supervision
import TrainerProtocol

// A hung trainer's stacks: offered when it attaches, asked for before it is killed, kept with its attempt.
extension Runtime {
  struct Hang {
    var after: Duration
    var wasAsked = false
  }

  /// Those of another attempt are nobody's.
  func forgetStacks() {
    stacksOffer = nil
    hang = nil
    // Not of what takes its place.
    guard runDirectory.displacement == nil else { return }
    do {
      try StacksFile.remove(in: directories.run)
    } catch {
      Console.warning("cannot remove the stacks of an earlier attempt: \(error)")
    }
  }

  /// Only the process that offered it knows what the signal means. It is often not the one that we started
  /// (`bash -c`, `env`, a launcher), and one in another pid namespace is not found by its number.
  func askForStacks() {
    guard let offer = stacksOffer else { return }
    hang?.wasAsked = ProcessTable.signal(
      offer.signal, to: offer.pid, withEnvironment: "\(RunEnvironment.jobID)=\(job.id)")
  }

  /// Nobody writes to the file any more. What the trainer itself said of its end comes first.
  func keepStacks() {
    guard let hang, hang.wasAsked, attempt.failure == nil else { return }
    do {
      guard let stacks = try StacksFile.read(in: directories.run) else { return }
      attempt.failure = Failure(
        type: "hang", message: "no step for \(Words.duration(hang.after))", traceback: stacks)
    } catch {
      Console.warning("cannot read the stacks of the hung trainer: \(error)")
    }
  }
}
