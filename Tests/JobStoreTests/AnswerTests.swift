import Synchronization
import Testing
import TrainerProtocol

@testable import JobStore

/// The writer checks for an answer often at first, then less and less.
@Suite struct AnswerTests {
  /// A trainer with long steps answers after hundreds of checks.
  @Test func lateAnswersAreFound() throws {
    let fixture = try Fixture()
    let store = try JobStore(stateDirectory: fixture.state, .create)
    let answers = Mutex(0)
    let writer = try StoreWriter(store, lookInterval: .milliseconds(1)) { report in
      guard case .drained(let drained) = report else { return }
      answers.withLock { $0 += drained.controls.count }
    }
    writer.attach(fixture.reader, attempt: 1)
    writer.expectAnswer()
    for turn in 0..<300 { #expect(writer.submitAndWait([.document("turn", turn)])) }
    let answer = Staged(requestSequence: 1, step: 1, cutID: CutID(), slot: 0, outcome: .staged)
    #expect(
      fixture.trainer.append(.staged, bytes: Staged.encodedBytes) { answer.encode(into: $0) })
    #expect(writer.submitAndWait([.document("turn", 300)]))
    writer.stop()
    #expect(answers.withLock { $0 } == 1)
  }
}
