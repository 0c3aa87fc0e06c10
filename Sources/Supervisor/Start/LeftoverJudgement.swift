import Glibc
import POSIX

/// Which of the machine's processes an earlier supervisor of a job left. Pure. Only what is certainly of this
/// job's trainer may be ended; what may be is somebody's to look at before another trainer starts.
struct LeftoverJudgement {
  enum Verdict: Hashable { case ours, doubtful, foreign }

  /// This job, and this process.
  struct Place {
    var mark: JobMark
    var pid: pid_t
    var session: pid_t
  }

  let place: Place
  /// Written by a supervisor of this very state directory, under this kernel and with this namespace's numbers.
  let recorded: Set<ProcessIdentity>
  /// The trainers among them, whose pids are also those of their sessions.
  let leaders: Set<ProcessIdentity>
  /// Written by whoever had our run directory, or of a store that was copied: somebody's.
  let doubtful: Set<ProcessIdentity>
  /// Holders of the ring's lock.
  let attached: Set<pid_t>
  /// The identity of the lock that lies in a state directory.
  let lockIdentity: (_ stateDirectory: String) -> String?

  /// - Parameters:
  ///   - sessions: that were found to be ours before; their leaders may be gone by now.
  ///   - mark: of a process; nil: it has none, or may not be looked at.
  func judge(
    _ processes: [ProcessStatus], sessions: Set<pid_t>, mark: (ProcessStatus) -> JobMark?
  ) -> (ours: [ProcessStatus], doubtful: [ProcessStatus]) {
    let all = Dictionary(processes.map { ($0.pid, $0) }) { first, _ in first }
    let ourselves = ancestors(of: place.pid, all).union([place.pid])
    let candidates = processes.filter {
      // Whoever started us, or sits where we were started, is no trainer.
      !$0.isZombie && !ourselves.contains($0.pid) && $0.session != place.session
    }
    var verdicts: [pid_t: Verdict] = [:]
    for process in candidates { verdicts[process.pid] = verdict(process, mark(process)) }
    // Nobody joins another's session: its members descend from its leader.
    let certain = Set(candidates.filter { leaders.contains($0.identity) }.map(\.pid)).union(sessions)
    let known = Set(leaders.map(\.pid))
    for process in candidates where verdicts[process.pid] == .foreign {
      if certain.contains(process.session) {
        verdicts[process.pid] = .ours
      } else if known.contains(process.session), all[process.session] == nil {
        // The leader is gone, and the number may have been another one's since.
        verdicts[process.pid] = .doubtful
      }
    }
    addDescendants(candidates, all, &verdicts)
    doubtTerminalProcesses(candidates, all, sessions: certain, &verdicts)
    return (
      candidates.filter { verdicts[$0.pid] == .ours }, candidates.filter { verdicts[$0.pid] == .doubtful }
    )
  }

  private func verdict(_ process: ProcessStatus, _ mark: JobMark?) -> Verdict {
    if recorded.contains(process.identity) { return .ours }
    if let mark {
      let verdict = verdict(mark)
      if verdict != .foreign { return verdict }
      // A mark that says whose it is outweighs what a copied store says.
      if mark.stateID != nil { return attached.contains(process.pid) ? .doubtful : .foreign }
    }
    return doubtful.contains(process.identity) || attached.contains(process.pid) ? .doubtful : .foreign
  }

  private func verdict(_ mark: JobMark) -> Verdict {
    let ours = place.mark
    let isNear =
      mark.jobID == ours.jobID || mark.runDirectory == ours.runDirectory
      || (mark.stateDirectory != nil && mark.stateDirectory == ours.stateDirectory)
    guard isNear else { return .foreign }
    // The state directory was removed and made again, or another job had our run directory.
    guard mark.jobID == ours.jobID else { return .doubtful }
    guard let stateID = mark.stateID, let stateDirectory = mark.stateDirectory else {
      return mark.runDirectory == ours.runDirectory ? .ours : .doubtful
    }
    if stateID == ours.stateID { return .ours }
    // One of the two is a copy of the other. While that lies where its trainer says, it has its own supervisor.
    return stateDirectory != ours.stateDirectory && lockIdentity(stateDirectory) == stateID
      ? .foreign : .doubtful
  }

  private func ancestors(of pid: pid_t, _ all: [pid_t: ProcessStatus]) -> Set<pid_t> {
    var found: Set<pid_t> = []
    var next = all[pid]?.parent
    while let pid = next, pid > 0, found.insert(pid).inserted { next = all[pid]?.parent }
    return found
  }

  /// What one of ours started is ours.
  private func addDescendants(
    _ candidates: [ProcessStatus], _ all: [pid_t: ProcessStatus], _ verdicts: inout [pid_t: Verdict]
  ) {
    let known = verdicts
    for process in candidates where known[process.pid] == .foreign {
      if ancestors(of: process.pid, all).contains(where: { known[$0] == .ours }) {
        verdicts[process.pid] = .ours
      }
    }
  }

  /// A terminal that was opened below the trainer (sudo's, su's) belongs to it for as long as the trainer's session
  /// is there. Any other is a person's (tmux started from a debugger, a shell with the trainer's
  /// environment), and with it the whole tree that it stands in.
  private func doubtTerminalProcesses(
    _ candidates: [ProcessStatus], _ all: [pid_t: ProcessStatus], sessions: Set<pid_t>,
    _ verdicts: inout [pid_t: Verdict]
  ) {
    func root(of process: ProcessStatus) -> ProcessStatus {
      var root = process
      var seen: Set<pid_t> = [process.pid]
      while let parent = all[root.parent], verdicts[parent.pid] == .ours, seen.insert(parent.pid).inserted {
        root = parent
      }
      return root
    }
    let ours = candidates.filter { verdicts[$0.pid] == .ours }
    let roots = Dictionary(ours.map { ($0.pid, root(of: $0)) }) { first, _ in first }
    let personal = Set(
      ours.filter { $0.hasTerminal }.compactMap { roots[$0.pid] }.filter { !sessions.contains($0.session) }
        .map(\.pid))
    for process in ours where roots[process.pid].map({ personal.contains($0.pid) }) ?? false {
      verdicts[process.pid] = .doubtful
    }
  }
}
