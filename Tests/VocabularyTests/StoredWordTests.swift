import Foundation
import Testing
import Vocabulary

/// Files and scripts of users contain these words: none may change.
@Suite struct StoredWordTests {
  private func words<Word: CaseIterable & RawRepresentable<String>>(_: Word.Type) -> Set<String> {
    Set(Word.allCases.map(\.rawValue))
  }

  @Test func rawValuesAreStable() {
    #expect(words(Level.self) == ["snapshot", "staged", "durable", "adopted"])
    #expect(words(Outcome.self) == ["finished", "stopped", "failed"])
    #expect(
      words(Cause.self) == [
        "finished", "stopped", "keyboard_interrupt", "preempted", "crashed", "killed", "oom_killed",
        "terminated", "hang", "incomplete", "orphaned", "rebooted", "start_failed",
      ])
    #expect(
      words(SupervisorState.self) == [
        "idle", "starting", "running", "saving", "terminating", "clearing", "backingOff", "settling", "done",
        "finished", "stopped", "gave_up", "failed",
      ])
    #expect(
      words(JobState.self) == [
        "new", "starting", "running", "saving", "stopping", "backing_off", "finished", "stopped",
        "interrupted", "failed", "gave_up",
      ])
    #expect(
      words(EventKind.self).isSuperset(of: [
        "attempt_ended", "attempt_started", "published", "stop_requested", "preemption_notice", "gave_up",
      ]))
  }

  /// An older holdfast reads the store of a newer one.
  @Test func unknownWordIsRetained() throws {
    let stored = try JSONDecoder().decode([Stored<Cause>].self, from: Data(#"["killed","eaten"]"#.utf8))
    #expect(stored.map(\.word) == [.killed, nil])
    #expect(String(decoding: try JSONEncoder().encode(stored), as: UTF8.self) == #"["killed","eaten"]"#)
  }
}
