import SystemPackage
import TrainerProtocol

/// Variables in the environment of a trainer's processes, which identify them when their supervisor is gone.
struct JobMark: Hashable, Sendable {
  var jobID: String
  /// Nil for processes of an older supervisor, as are the two below.
  var runDirectory: String?
  /// Without symbolic links.
  var stateDirectory: String?
  /// Device and inode of the lock in the state directory, which is never replaced. A different value means another
  /// job, even if its directory was copied or moved to that path.
  var stateID: String?

  init(jobID: String, runDirectory: String?, stateDirectory: String? = nil, stateID: String? = nil) {
    self.jobID = jobID
    self.runDirectory = runDirectory
    self.stateDirectory = stateDirectory
    self.stateID = stateID
  }

  /// - Parameter environment: `NAME=value`. Without a job in it the result is nil.
  init?(_ environment: [ArraySlice<UInt8>]) {
    func value(_ name: String) -> String? {
      let entry = environment.first {
        $0.starts(with: name.utf8) && $0.dropFirst(name.utf8.count).first == 0x3d
      }
      return entry.map { String(decoding: $0.dropFirst(name.utf8.count + 1), as: UTF8.self) }
    }
    let run = value(RunEnvironment.runDirectory)
    let job = value(RunEnvironment.jobID)
    guard run != nil || job != nil else { return nil }
    self.init(
      jobID: job ?? "", runDirectory: run, stateDirectory: value(RunEnvironment.stateDirectory),
      stateID: value(RunEnvironment.stateID))
  }

  /// All but the run directory, which only trainers have.
  var environment: [String] {
    [
      (RunEnvironment.jobID, jobID), (RunEnvironment.stateDirectory, stateDirectory),
      (RunEnvironment.stateID, stateID),
    ].compactMap { name, value in value.map { "\(name)=\($0)" } }
  }
}
