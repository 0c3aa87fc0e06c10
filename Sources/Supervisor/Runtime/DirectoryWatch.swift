import Glibc
import JobStore
import POSIX
import Supervision
import TrainerProtocol
import Vocabulary

/// Detects that the job's directories are moved or removed while the job runs.
final class DirectoryWatch {
  private static let interval = Duration.seconds(1)

  private let stateDirectory: OpenFile
  private let runDirectory: RunDirectory
  private let processes: TrainerProcesses
  private let degradations: Degradations
  private let timers: Timers
  private let mailbox: Mailbox<Runtime.Report>
  private var stateWatch: StateWatch?

  init(
    _ stateDirectory: OpenFile, _ runDirectory: RunDirectory, _ processes: TrainerProcesses,
    _ degradations: Degradations, _ timers: Timers, _ mailbox: Mailbox<Runtime.Report>
  ) {
    self.stateDirectory = stateDirectory
    self.runDirectory = runDirectory
    self.processes = processes
    self.degradations = degradations
    self.timers = timers
    self.mailbox = mailbox
  }

  /// Starts checking whether the directories are in place.
  func begin() {
    do {
      stateWatch = try StateWatch(stateDirectory) { [mailbox] text in mailbox.post(.stateDirectory(text)) }
    } catch {
      Console.warning("cannot watch the state directory: \(error)")
    }
    checkRunDirectory()
  }

  func stateDirectoryChanged(_ text: String?) {
    if let text {
      degradations.begin("state", text)
    } else {
      degradations.end("state", "the state directory is back in place")
    }
  }

  /// Called on the loop's thread: the run directory is in memory, so this does not block as a disk could.
  func checkRunDirectory() {
    defer { timers.arm(.runDirectory, at: Moment.now.monotonic + Self.interval) }
    guard let displacement = runDirectory.displacement else {
      return degradations.end("run", "the run directory is back in place")
    }
    degradations.begin(
      "run",
      "the run directory \(runDirectory.path) was \(displacement.words): checkpoints staged in it are out of reach; "
        + "the trainer keeps running")
    // A moved directory may come back, and the trainer's files are in it. If it was removed they are gone, and the
    // trainer creates them again where it can.
    guard displacement == .removed, processes.child != nil else { return }
    do {
      if try runDirectory.reacquire() { degradations.end("run", "the run directory was created again") }
    } catch {
      // The degradation is reported already; the next check retries.
    }
  }

  func stop() { stateWatch?.stop() }
}
