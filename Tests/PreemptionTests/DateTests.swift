import Foundation
import Testing

@testable import Preemption

@Suite struct DateTests {
  @Test func documentedDatesAreParsed() {
    #expect(InternetDate.rfc3339("2017-09-18T08:22:00Z") == .seconds(1_505_722_920))
    #expect(InternetDate.rfc3339("2017-09-18T10:22:00.250+02:00") == .milliseconds(1_505_722_920_250))
    #expect(InternetDate.http("Mon, 19 Sep 2016 18:29:47 GMT") == .seconds(1_474_309_787))
  }

  @Test(arguments: [
    "", "2017", "2017-13-18T08:22:00Z", "2017-02-29T08:22:00Z", "2017-09-18T24:22:00Z", "2017-09-18T08:22:00",
    "2017-09-18T08:22:00Zx", "2017-09-18T08:22:00.Z", "-017-09-18T08:22:00Z", "2017-09-18T08:22:00+99:00",
    "２017-09-18T08:22:00Z",
  ]) func invalidRFC3339IsRejected(text: String) {
    #expect(InternetDate.rfc3339(text) == nil)
  }

  @Test(arguments: [
    "", "Tue, 19 Sep 2016 18:29:47 GMT", "Mon, 19 Sep 2016 18:29:47", "Mon, 31 Sep 2016 18:29:47 GMT",
    "Mon, 19 sep 2016 18:29:47 GMT", "Mon, 19 Sep 2016 18:29:47 GMT ", "Monday, 19-Sep-16 18:29:47 GMT",
  ]) func invalidHTTPDateIsRejected(text: String) {
    #expect(InternetDate.http(text) == nil)
  }

  /// Compares every day of four centuries with the C library.
  @Test func calendarAgreesWithGmtime() throws {
    for day in stride(from: -200 * 365, to: 200 * 365, by: 1) {
      var seconds = time_t(day * 86_400)
      var parts = tm()
      gmtime_r(&seconds, &parts)
      try #require(
        InternetDate.days(Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)) == day)
    }
  }

  @Test func randomTextNeverCrashes() {
    var random = Seeded(seed: 3)
    let letters = Array("0123456789-:TZ.+ ,GMTMonSep\u{e9}")
    for _ in 0..<20_000 {
      let text = String(
        (0..<Int.random(in: 0...32, using: &random)).map { _ in letters.randomElement(using: &random)! })
      _ = InternetDate.rfc3339(text)
      _ = InternetDate.http(text)
    }
  }
}

/// SplitMix64, reproducible.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
