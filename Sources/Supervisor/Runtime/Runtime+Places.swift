import Glibc
import JobStore
import POSIX
import Supervision
import TrainerProtocol
import Vocabulary

// The job's directories, which somebody may move or remove while it runs.
extension Runtime {
  static let placesInterval = Duration.seconds(1)

  /// Looks from now on whether they are in their places.
  func watchPlaces() {
    do {
      stateWatch = try StateWatch(stateDirectory) { [mailbox] text in mailbox.post(.statePlace(text)) }
    } catch {
      Console.warning("the state directory is not watched: \(error)")
    }
    lookAtRunDirectory()
  }

  func statePlaceChanged(_ text: String?) {
    if let text {
      degradations.begin("state", text)
    } else {
      degradations.end("state", "the state directory is back in its place")
    }
  }

  /// Memory does not keep the loop waiting as a disk would.
  func lookAtRunDirectory() {
    defer { arm(.places, at: Self.now.monotonic + Self.placesInterval) }
    guard let displacement = runDirectory.displacement else {
      return degradations.end("run", "the run directory is back in its place")
    }
    degradations.begin(
      "run",
      "the run directory \(directories.run) was \(displacement.words): what is staged in it is out of reach; the "
        + "trainer goes on")
    // Moved, it may come back, and the trainer's files are in it. Removed, they are gone: the trainer makes
    // them anew where it can.
    guard displacement == .removed, processes.child != nil else { return }
    do {
      if try runDirectory.takeAgain() { degradations.end("run", "the run directory was made again") }
    } catch {
      // That it is gone is shown already; the next look tries again.
    }
  }

  /// Nothing that its trainer does is recorded any more, no request reaches it, and it dies at the first page
  /// that is gone: the next attempt begins now, from the newest resume point.
  func ringLost(_ number: UInt64) {
    guard number == attempt.record.attempt else { return }
    let text = "the ring of attempt \(number) was cut off: \(directories.run)/ring-0"
    let isOver = processes.child == nil
    events.log(.ringLost, isOver ? text : "\(text); ending the attempt", isWarning: true)
    guard !isOver else { return }
    attempt.note { $0.failure = $0.failure ?? Failure(type: "ring lost", message: text) }
    processes.kill()
  }
}
