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

  /// In a line of time a letter stands for a word; of two with one letter, the first one's word is shown.
  @Test func eachHasALetterOfItsOwn() {
    let letters = Self.attempts.map(\.causeLetter)
    #expect(Set(letters).count == letters.count, "\(letters)")
  }

  @Test func eachHasWords() {
    for word in Self.attempts.map(\.causeWord) {
      #expect(!word.isEmpty && !word.contains("_"), "\(word) is a name, and no word for people")
    }
  }
}
