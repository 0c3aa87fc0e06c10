import SystemPackage
import TrainerProtocol

/// What a trainer's processes have in their environment, by which they are known when their supervisor is gone.
struct JobMark: Hashable, Sendable {
  var jobID: String
  /// Nil in what an older supervisor began, as are the two below.
  var runDirectory: String?
  /// Without symbolic links.
  var stateDirectory: String?
  /// Device and inode of the lock in there, which is never replaced: another one is another job's, whatever
  /// was copied or moved to that place.
  var stateID: String?

  init(jobID: String, runDirectory: String?, stateDirectory: String? = nil, stateID: String? = nil) {
    self.jobID = jobID
    self.runDirectory = runDirectory
    self.stateDirectory = stateDirectory
    self.stateID = stateID
  }

  /// - Parameter environment: `NAME=value`; nil is returned where no job is named.
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

  /// All but the run directory, which only a trainer has.
  var environment: [String] {
    [
      (RunEnvironment.jobID, jobID), (RunEnvironment.stateDirectory, stateDirectory),
      (RunEnvironment.stateID, stateID),
    ].compactMap { name, value in value.map { "\(name)=\($0)" } }
  }
}
