import Glibc
import POSIX

/// Decides which processes of the machine an earlier supervisor of a job left. Pure. Only processes that certainly
/// belong to this job's trainer may be killed; doubtful ones must be checked by a person before another trainer starts.
struct LeftoverJudgement {
  enum Verdict: Hashable { case ours, doubtful, foreign }

  /// This job, and this process.
  struct Place {
    var mark: JobMark
    var pid: pid_t
    var session: pid_t
  }

  let place: Place
  /// Recorded by a supervisor of this state directory, in this boot and pid namespace.
  let recorded: Set<ProcessIdentity>
  /// The trainers among them; each is the leader of its session.
  let leaders: Set<ProcessIdentity>
  /// Recorded by another owner of this run directory, or in a store that was copied.
  let doubtful: Set<ProcessIdentity>
  /// Holders of the ring's lock.
  let attached: Set<pid_t>
  /// The identity of the lock in a state directory.
  let lockIdentity: (_ stateDirectory: String) -> String?

  /// - Parameters:
  ///   - sessions: already found to be of this job; their leaders may be gone.
  ///   - mark: of a process; nil: it has none, or cannot be inspected.
  func judge(
    _ processes: [ProcessStatus], sessions: Set<pid_t>, mark: (ProcessStatus) -> JobMark?
  ) -> (ours: [ProcessStatus], doubtful: [ProcessStatus]) {
    let all = Dictionary(processes.map { ($0.pid, $0) }) { first, _ in first }
    let ourselves = ancestors(of: place.pid, all).union([place.pid])
    let candidates = processes.filter {
      // Ancestors of this process, and processes in its session, are not trainers.
      !$0.isZombie && !ourselves.contains($0.pid) && $0.session != place.session
    }
    var verdicts: [pid_t: Verdict] = [:]
    for process in candidates { verdicts[process.pid] = verdict(process, mark(process)) }
    // A process cannot join an existing session: its members descend from its leader.
    let certain = Set(candidates.filter { leaders.contains($0.identity) }.map(\.pid)).union(sessions)
    let known = Set(leaders.map(\.pid))
    for process in candidates where verdicts[process.pid] == .foreign {
      if certain.contains(process.session) {
        verdicts[process.pid] = .ours
      } else if known.contains(process.session), all[process.session] == nil {
        // The leader is gone, and its pid may have been reused.
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
      // A mark with an identity takes precedence over the records of a copied store.
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
    // The state directory was removed and created again, or another job used this run directory.
    guard mark.jobID == ours.jobID else { return .doubtful }
    guard let stateID = mark.stateID, let stateDirectory = mark.stateDirectory else {
      return mark.runDirectory == ours.runDirectory ? .ours : .doubtful
    }
    if stateID == ours.stateID { return .ours }
    // One directory is a copy of the other. If the other one still exists at its path, the process belongs to it.
    return stateDirectory != ours.stateDirectory && lockIdentity(stateDirectory) == stateID
      ? .foreign : .doubtful
  }

  private func ancestors(of pid: pid_t, _ all: [pid_t: ProcessStatus]) -> Set<pid_t> {
    var found: Set<pid_t> = []
    var next = all[pid]?.parent
    while let pid = next, pid > 0, found.insert(pid).inserted { next = all[pid]?.parent }
    return found
  }

  /// Descendants of this job's processes belong to the job too.
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

  /// A terminal that was opened below the trainer (by sudo, su) belongs to it as long as the trainer's session exists.
  /// Any other one is a person's (tmux started from a debugger, a shell with the trainer's environment), which makes
  /// its whole tree doubtful.
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
