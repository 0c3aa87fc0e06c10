import POSIX
import Testing

@testable import Supervisor

/// Which job a process belongs to. In the tests, this process is 10, started by shell 5.
@Suite struct LeftoverJudgementTests {
  static let ours = JobMark(jobID: "a", runDirectory: "/run/a", stateDirectory: "/state/a", stateID: "1:1")

  static func process(
    _ pid: Int32, parent: Int32 = 1, session: Int32? = nil, terminal: Bool = false, zombie: Bool = false
  ) -> ProcessStatus {
    ProcessStatus(
      ProcessIdentity(pid: pid, startTime: UInt64(pid)), parent: parent, session: session ?? pid,
      hasTerminal: terminal, isZombie: zombie)
  }

  static let ourselves = [process(5, session: 5, terminal: true), process(10, parent: 5, session: 5)]

  private func judge(
    _ processes: [ProcessStatus], marks: [Int32: JobMark] = [:], trainer: ProcessIdentity? = nil,
    doubtful: Set<ProcessIdentity> = [], attached: Set<Int32> = [], locks: [String: String] = [:]
  ) -> (ours: [Int32], doubtful: [Int32]) {
    let leaders = Set([trainer].compactMap { $0 })
    let judgement = LeftoverJudgement(
      place: .init(mark: Self.ours, pid: 10, session: 5), recorded: leaders, leaders: leaders,
      doubtful: doubtful,
      attached: attached, lockIdentity: { locks[$0] })
    let found = judgement.judge(Self.ourselves + processes, sessions: []) { marks[$0.pid] }
    return (found.ours.map(\.pid), found.doubtful.map(\.pid))
  }

  private func verdict(of mark: JobMark, locks: [String: String] = [:]) -> LeftoverJudgement.Verdict {
    let found = judge([Self.process(20)], marks: [20: mark], locks: locks)
    return !found.ours.isEmpty ? .ours : !found.doubtful.isEmpty ? .doubtful : .foreign
  }

  @Test func marks() {
    var mark = Self.ours
    #expect(verdict(of: mark) == .ours)
    mark.stateDirectory = "/state/moved-here-since"
    #expect(verdict(of: mark) == .ours, "the same lock, wherever it lies")
    mark = Self.ours
    mark.stateID = "1:2"
    #expect(verdict(of: mark) == .doubtful, "replaced in its place")
    mark.stateDirectory = "/state/copy"
    #expect(verdict(of: mark, locks: ["/state/copy": "1:2"]) == .foreign, "a copy that is there")
    #expect(verdict(of: mark, locks: ["/state/copy": "1:3"]) == .doubtful)
    #expect(verdict(of: mark) == .doubtful, "a copy that is gone")
    mark = Self.ours
    mark.jobID = "b"
    mark.stateID = "1:2"
    #expect(verdict(of: mark) == .doubtful, "a job that was here before")
    mark = JobMark(jobID: "b", runDirectory: "/run/b", stateDirectory: "/state/b", stateID: "1:2")
    #expect(verdict(of: mark) == .foreign)
    #expect(verdict(of: JobMark(jobID: "a", runDirectory: "/run/a")) == .ours, "of an older supervisor")
    #expect(verdict(of: JobMark(jobID: "a", runDirectory: "/run/b")) == .doubtful)
    #expect(verdict(of: JobMark(jobID: "", runDirectory: "/run/a")) == .doubtful)
  }

  @Test func ancestorsAreNotTrainers() {
    let marks = Dictionary(uniqueKeysWithValues: [5, 6, 20].map { (Int32($0), Self.ours) })
    let sibling = Self.process(6, parent: 5, session: 5, terminal: true)
    #expect(judge([sibling, Self.process(20)], marks: marks) == ([20], []))
  }

  @Test func trainerSessionBelongsToJob() {
    let trainer = ProcessIdentity(pid: 20, startTime: 20)
    let members = [Self.process(20), Self.process(21, session: 20), Self.process(22, parent: 21)]
    #expect(judge(members, trainer: trainer) == ([20, 21, 22], []), "and what descends from it")
    // The number was given to another one.
    let other = ProcessIdentity(pid: 20, startTime: 19)
    #expect(judge(members, trainer: other) == ([], []))
    #expect(judge(Array(members.dropFirst().prefix(1)), trainer: trainer) == ([], [21]), "the leader is gone")
    #expect(judge([Self.process(20, zombie: true)], trainer: trainer) == ([], []))
  }

  @Test func terminalBelowTrainerBelongsToIt() {
    let trainer = ProcessIdentity(pid: 20, startTime: 20)
    let sudo = [Self.process(20), Self.process(21, parent: 20, terminal: true)]
    #expect(judge(sudo, trainer: trainer) == ([20, 21], []))
    // tmux, which forked itself away, and the shell in it.
    let tmux = [Self.process(30), Self.process(31, parent: 30, terminal: true), Self.process(40)]
    let found = judge(tmux, marks: [30: Self.ours, 31: Self.ours, 40: Self.ours], trainer: trainer)
    #expect(found == ([40], [30, 31]))
  }

  @Test func ringHoldersAndOthersRecordsAreDoubtful() {
    #expect(judge([Self.process(20)], attached: [20]) == ([], [20]))
    #expect(judge([Self.process(20)], marks: [20: Self.ours], attached: [20]) == ([20], []))
    let identity = ProcessIdentity(pid: 20, startTime: 20)
    #expect(judge([Self.process(20)], doubtful: [identity]) == ([], [20]))
    // What its own mark says outweighs what a copied store says.
    let original = JobMark(jobID: "a", runDirectory: "/run/o", stateDirectory: "/state/o", stateID: "1:9")
    #expect(
      judge([Self.process(20)], marks: [20: original], doubtful: [identity], locks: ["/state/o": "1:9"]) == (
        [], []
      ))
  }
}
