import JobStore
import Supervision
import Testing
import Vocabulary

@testable import HoldfastCLI

@Suite struct CauseTests {
  private static let attempts = Cause.allCases.map { cause in
    var attempt = AttemptRecord(attempt: 1, generation: 1, boot: "", startedAtNs: 0, resumedFrom: nil)
    attempt.cause = Stored(cause)
    return attempt
  }

  /// In a timeline, each letter has one description; with shared letters, only the first cause's would be
  /// shown.
  @Test func everyCauseHasADistinctLetter() {
    let letters = Self.attempts.map(\.causeLetter)
    #expect(Set(letters).count == letters.count, "\(letters)")
  }

  @Test func everyCauseHasADescription() {
    for word in Self.attempts.map(\.causeWord) {
      #expect(!word.isEmpty && !word.contains("_"), "\(word) is an identifier, not a description")
    }
  }
}
