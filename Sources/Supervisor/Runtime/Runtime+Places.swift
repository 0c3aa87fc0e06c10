import Glibc
import JobStore
import POSIX
import Supervision
import TrainerProtocol

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

  func take(statePlace text: String?) {
    if let text {
      degrade("state", text)
    } else {
      recover("state", "the state directory is back in its place")
    }
  }

  /// Memory does not keep the loop waiting as a disk would.
  func lookAtRunDirectory() {
    defer { arm(.places, at: Self.now.monotonic + Self.placesInterval) }
    guard let displacement = runDirectory.displacement else {
      return recover("run", "the run directory is back in its place")
    }
    degrade(
      "run",
      "the run directory \(directories.run) was \(displacement.words): what is staged in it is out of reach; the "
        + "trainer goes on")
    // Moved, it may come back, and the trainer's files are in it. Removed, they are gone: the trainer makes
    // them anew where it can.
    guard displacement == .removed, child != nil else { return }
    do {
      if try takeRunDirectory() { recover("run", "the run directory was made again") }
    } catch {
      // It is told that it is gone, and tried again.
    }
  }

  /// Nothing that its trainer does is recorded any more, no request reaches it, and it dies at the first page
  /// that is gone: the next attempt begins now, from the newest resume point.
  func ringLost(_ number: UInt64) {
    guard number == attempt.attempt else { return }
    let text = "the ring of attempt \(number) was cut off: \(directories.run)/ring-0"
    tell(.ringLost, child == nil ? text : "\(text); ending the attempt", isWarning: true)
    guard let child else { return }
    attempt.failure = attempt.failure ?? Failure(type: "ring lost", message: text)
    try? child.signal(SIGKILL)
    child.signalGroup(SIGKILL)
  }

  /// Makes and locks what is to be the run directory from now on.
  /// - Returns: false when another job has locked it.
  func takeRunDirectory() throws -> Bool {
    guard runDirectory.displacement != nil else { return true }
    guard let taken = try RunDirectory.take(directories) else { return false }
    runDirectory = taken
    return true
  }
}
