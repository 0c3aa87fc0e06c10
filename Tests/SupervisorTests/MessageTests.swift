import Reporting
import Supervision
import Testing
import Vocabulary

@testable import Supervisor

@Suite struct MessageTests {
  @Test func attemptEndsAreWorded() {
    func text(_ exit: Supervision.ExitStatus, _ cause: Cause, progressed: Bool = true) -> String {
      Note.attemptEnded(exit, cause, progressed: progressed).message(
        attempt: 3, step: 41_820, policy: Policy(), runDirectory: "/run/job"
      ).text
    }
    #expect(text(.signaled(9), .killed) == "attempt 3 was ended by SIGKILL at step 41,820")
    #expect(
      text(.exited(1), .crashed, progressed: false)
        == "attempt 3 crashed: exit 1 at step 41,820, without progress")
    #expect(text(.exited(0), .incomplete) == "attempt 3 exited with status 0 without finish() at step 41,820")
    #expect(text(.exited(0), .finished, progressed: false) == "attempt 3 finished at step 41,820")
  }

  @Test func givingUpReportsBatch() {
    var standing = Standing()
    standing.stalls = 5
    standing.deathTally = .init(batch: .init(epoch: 2, batch: 60), step: 261, count: 4)
    let text = Note.gaveUp(.checkpoint(level: .durable, step: 250), standing).message(
      attempt: 9, step: 260, policy: Policy(), runDirectory: "/run/job"
    ).text
    #expect(
      text
        == "giving up: 5 attempts in a row made no progress past step 250, the last 4 in batch 60 of epoch 2")
  }

  @Test func numbersAreFormatted() {
    #expect(Words.count(1, "step") == "1 step" && Words.count(48_700, "step") == "48,700 steps")
    #expect(Words.duration(.seconds(200)) == "3 min 20 s" && Words.bytes(536_870_912) == "512 MiB")
  }
}
