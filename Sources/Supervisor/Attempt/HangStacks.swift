import JobStore
import POSIX
import Reporting
import TrainerProtocol

/// A hung trainer's stacks: offered when it attaches, asked for before it is killed, kept with its attempt.
final class HangStacks {
  private let runDirectory: RunDirectory
  private let jobID: JobID
  private var offer: StacksOffer?
  /// For how long there was no step; nil: it does not hang.
  private var hungAfter: Duration?
  private var wereRequested = false

  init(_ runDirectory: RunDirectory, _ jobID: JobID) {
    self.runDirectory = runDirectory
    self.jobID = jobID
  }

  var areOffered: Bool { offer != nil }

  /// Another attempt begins.
  func begin() {
    offer = nil
    hungAfter = nil
    wereRequested = false
    // Not of what takes its place.
    guard runDirectory.displacement == nil else { return }
    do {
      try StacksFile.remove(in: runDirectory.path)
    } catch {
      Console.warning("cannot remove the stacks of an earlier attempt: \(error)")
    }
  }

  func attached(_ attached: Attached) { offer = StacksOffer(attached) }

  func hung(after: Duration) { hungAfter = after }

  /// Only the process that offered it knows what the signal means. It is often not the one that we started
  /// (`bash -c`, `env`, a launcher), and one in another pid namespace is not found by its number.
  func request() {
    guard let offer else { return }
    wereRequested =
      hungAfter != nil
      && ProcessTable.signal(offer.signal, to: offer.pid, withEnvironment: "\(RunEnvironment.jobID)=\(jobID)")
  }

  /// What they tell of the attempt's end; nobody writes to the file any more.
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
