import Glibc
import JobStore
import POSIX
import Reporting
import SystemPackage

/// Processes that an earlier supervisor of this job left when it was killed. A trainer dies with its supervisor, unless
/// it changed its user (sudo, su) or cleared its parent-death signal; processes that it forked may survive.
struct Leftovers {
  let job: JobRecord
  let directories: JobDirectory
  let mark: JobMark
  /// Attempts without a recorded end.
  let unended: [AttemptRecord]
  private let record: TrainerRecord?
  private let locks: LockTable
  private let boot = ProcessTable.bootID

  /// - Parameter locks: read after this job's lock was acquired, so no other supervisor has started a trainer since.
  init(
    _ job: JobRecord, _ directories: JobDirectory, _ mark: JobMark, _ store: JobStore, _ locks: LockTable
  ) throws {
    self.job = job
    self.directories = directories
    self.mark = mark
    unended = try store.unendedAttempts()
    record = TrainerRecord.read(in: directories.run)
    self.locks = locks
  }

  /// Kills processes that certainly belong to this job.
  /// - Throws: if a process may be the job's trainer, or is and cannot be killed. Then nothing may be started.
  func end(timeout: Duration) throws(SupervisorError) {
    let deadline = Duration.nanoseconds(Clock.monotonicNanoseconds) + timeout
    var sessions: Set<pid_t> = []
    var pause: UInt32 = 1_000
    var locks = locks
    while true {
      guard let processes = ProcessTable.all() else { return try checkWithoutProcesses() }
      let found = judgement(locks).judge(processes, sessions: sessions) { process in
        ProcessTable.environment(of: process.pid).flatMap(JobMark.init)
      }
      let hidden = hiddenTrainers(processes)
      guard found.doubtful.isEmpty, hidden.isEmpty else {
        // Nothing is killed then, so that a person can inspect all of them.
        throw refusal(found.doubtful.map(\.pid) + hidden, certain: found.ours.map(\.pid))
      }
      if found.ours.isEmpty {
        try checkHidden()
        return TrainerRecord.remove(in: directories.run)
      }
      let refused = found.ours.filter { !ProcessTable.kill($0.identity) }.map(\.pid)
      guard refused.isEmpty else { throw notAllowed(refused) }
      sessions.formUnion(found.ours.filter { $0.pid == $0.session }.map(\.session))
      guard .nanoseconds(Clock.monotonicNanoseconds) < deadline else { throw stuck(found.ours.map(\.pid)) }
      usleep(pause)
      pause = min(pause * 2, 50_000)
      locks = LockTable()
    }
  }

  private func judgement(_ locks: LockTable) -> LeftoverJudgement {
    let ring = directories.run.appending("ring-0")
    var recorded: Set<ProcessIdentity> = []
    var leaders: Set<ProcessIdentity> = []
    var doubtful: Set<ProcessIdentity> = []
    if let record = validRecord {
      let isOurs = record.jobID == mark.jobID && record.stateID == mark.stateID
      let all = Set(record.others + [record.trainer])
      if isOurs { recorded.formUnion(all) } else { doubtful.formUnion(all) }
      if isOurs { leaders.insert(record.trainer) }
    }
    for attempt in unended where attempt.boot == boot {
      guard let pid = attempt.pid, let startTime = attempt.pidStartTime else { continue }
      let trainer = ProcessIdentity(pid: pid, startTime: startTime)
      if attempt.stateIdentity == mark.stateID {
        recorded.insert(trainer)
        leaders.insert(trainer)
      } else {
        doubtful.insert(trainer)
      }
    }
    return LeftoverJudgement(
      place: .init(mark: mark, pid: getpid(), session: getsid(0)), recorded: recorded, leaders: leaders,
      doubtful: doubtful, attached: Set(locks.holders(of: ring)),
      lockIdentity: { JobLock.identity(in: FilePath($0)) })
  }

  /// The record, if its pids are valid in this boot and namespace.
  private var validRecord: TrainerRecord? {
    guard let record, record.boot == boot, record.pidNamespace == ProcessTable.namespace else { return nil }
    return record
  }

  /// Recorded trainers whose pid is in use by a hidden process (`hidepid=2`) of another user.
  private func hiddenTrainers(_ processes: [ProcessStatus]) -> [pid_t] {
    let seen = Set(processes.map(\.pid))
    let trainers =
      [validRecord?.trainer.pid].compactMap { $0 } + unended.filter { $0.boot == boot }.compactMap(\.pid)
    // A process may have started after the list was made, or ended since.
    return Set(trainers).filter { !seen.contains($0) && ProcessTable.isHidden($0) }.sorted()
  }

  /// The trainer was, or had started, a process of another user that its supervisor could not see.
  private func checkHidden() throws(SupervisorError) {
    guard let record = validRecord, record.hasHidden == true, ProcessTable.hidesOthers else { return }
    let path = directories.run.appending(TrainerRecord.name)
    throw SupervisorError(
      .leftoverProcess,
      "a trainer of this job may still be running as another user, whose processes are hidden here",
      path: "/proc", why: "it is mounted with hidepid; no second trainer is started while one may be running",
      hint: """
        sudo ps -eo pid,ppid,user,lstart,args  look for the trainer and kill it: sudo kill -KILL PID
        rm \(path)  when it is gone; then start the job again
        """)
  }

  /// If processes cannot be listed, a trainer without a recorded end may still be running.
  private func checkWithoutProcesses() throws(SupervisorError) {
    guard record != nil || !unended.isEmpty else { return }
    throw SupervisorError(
      .leftoverProcess,
      "a trainer of an earlier attempt may still be running, and /proc does not show other processes",
      path: "/proc", hint: "mount -t proc proc /proc  or start the job where /proc shows processes")
  }

  private func refusal(_ pids: [pid_t], certain: [pid_t]) -> SupervisorError {
    let all = (pids + certain).sorted()
    return SupervisorError(
      .leftoverProcess,
      "a trainer of this job may still be running: it is unclear whether \(Words.pids(all)) belong to it",
      path: directories.state,
      why: "no second trainer is started while one may be running, and nothing was killed",
      hint: """
        ps -o pid,ppid,user,lstart,args -p \(Self.list(all))  what they are
        kill -KILL \(words: Self.list(all, " "))  kills them; then start the job again
        """)
  }

  private func notAllowed(_ pids: [pid_t]) -> SupervisorError {
    SupervisorError(
      .leftoverProcess,
      "the trainer of an earlier attempt is still running, as another user (\(Words.pids(pids)))",
      path: directories.state, why: "\(Errno.notPermitted)",
      hint: """
        sudo kill -KILL \(words: Self.list(pids, " "))  kills it; then start the job again
        ps -o pid,ppid,user,lstart,args -p \(Self.list(pids))
        """)
  }

  private func stuck(_ pids: [pid_t]) -> SupervisorError {
    SupervisorError(
      .leftoverProcess, "cannot kill processes of an earlier attempt (\(Words.pids(pids)))",
      path: directories.state, hint: "ps -o pid,stat,wchan,args -p \(Self.list(pids))")
  }

  private static func list(_ pids: [pid_t], _ separator: String = ",") -> String {
    pids.map(String.init).joined(separator: separator)
  }

  /// Finds a running supervisor whose state directory was removed, moved away or replaced. It holds the lock of the
  /// old file, so acquiring the new one succeeds.
  static func checkForLivingSupervisor(_ directories: JobDirectory, _ locks: LockTable)
    throws(SupervisorError)
  {
    guard let state = FileSystem.canonical(directories.state) else { return }
    let pids = locks.holders(of: state.appending(JobLock.name))
    guard !pids.isEmpty else { return }
    throw SupervisorError(
      .alreadySupervised,
      "this job is still supervised (\(Words.pids(pids))), although its state directory was removed or replaced",
      path: directories.state,
      hint: """
        kill -TERM \(words: list(pids, " "))  stops it and its trainer; then start the job again
        ps -o pid,ppid,user,lstart,args -p \(list(pids))  what it is
        """)
  }
}
