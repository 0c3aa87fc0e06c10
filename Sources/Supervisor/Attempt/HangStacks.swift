import JobStore
import POSIX
import Reporting
import TrainerProtocol

/// Stacks of a hung trainer: offered when it attaches, requested before it is killed, stored with its attempt.
final class HangStacks {
  private let runDirectory: RunDirectory
  private let jobID: JobID
  private var offer: StacksOffer?
  /// Time without a step; nil: the trainer does not hang.
  private var hungAfter: Duration?
  private var wereRequested = false

  init(_ runDirectory: RunDirectory, _ jobID: JobID) {
    self.runDirectory = runDirectory
    self.jobID = jobID
  }

  var areOffered: Bool { offer != nil }

  /// Called when another attempt begins.
  func begin() {
    offer = nil
    hungAfter = nil
    wereRequested = false
    // Never in a directory that replaced it.
    guard runDirectory.displacement == nil else { return }
    do {
      try StacksFile.remove(in: runDirectory.path)
    } catch {
      Console.warning("cannot remove the stacks of an earlier attempt: \(error)")
    }
  }

  func attached(_ attached: Attached) { offer = StacksOffer(attached) }

  func hung(after: Duration) { hungAfter = after }

  /// Sent only to the process that offered the signal. That is often not the process that was started (`bash -c`,
  /// `env`, a launcher); one in another pid namespace is not found by its pid.
  func request() {
    guard let offer else { return }
    wereRequested =
      hungAfter != nil
      && ProcessTable.signal(offer.signal, to: offer.pid, withEnvironment: "\(RunEnvironment.jobID)=\(jobID)")
  }

  /// The stacks as a failure. Called when no process writes to the file any more.
  func read() -> Failure? {
    guard let hungAfter, wereRequested else { return nil }
    do {
      return try StacksFile.read(in: runDirectory.path).map {
        Failure(type: "hang", message: "no step for \(Words.duration(hungAfter))", traceback: $0)
      }
    } catch {
      Console.warning("cannot read the stacks of the hung trainer: \(error)")
      return nil
    }
  }
}
