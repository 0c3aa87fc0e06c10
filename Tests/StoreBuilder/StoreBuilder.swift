import JobStore
import POSIX
import Reporting
import StoreFixtures
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Makes stores that would take days to grow, or that should never exist.
///
///     StoreBuilder hostile STATE-DIRECTORY largest|smallest|zero|notFinite
///     StoreBuilder long STATE-DIRECTORY [attempts=N] [events=N] [checkpoints=N] [snapshots=N] [traceback=BYTES] [sums=1]
@main
struct StoreBuilder {
  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    let state = FilePath(arguments[1])
    if arguments[0] == "hostile", let numbers = HostileNumbers(rawValue: arguments[2]) {
      try hostile(state, numbers)
    } else {
      var counts: [String: UInt64] = [:]
      for argument in arguments.dropFirst(2) {
        let words = argument.split(separator: "=")
        counts[String(words[0])] = UInt64(words[1])
      }
      try long(state, counts)
    }
  }

  private static func hostile(_ state: FilePath, _ numbers: HostileNumbers) throws {
    var sample = SampleStore()
    for index in sample.documents.indices {
      let document = sample.documents[index]
      sample.documents[index].text = numbers.everywhere(document.text, isReadable: document.isReadable)
    }
    // Under keys that fit, and under the largest there are.
    sample.documents += sample.documents.filter { $0.database != .meta }.map { document in
      var copy = document
      copy.key = [UInt8](repeating: 0xff, count: document.key.count)
      return copy
    }
    try sample.write(to: state, steps: [0, 1, .max - 1, .max])
  }

  private static func long(_ state: FilePath, _ counts: [String: UInt64]) throws {
    let store = try RawStore(stateDirectory: state)
    let second: UInt64 = 1_000_000_000
    let begin = Clock.wallNanoseconds - (counts["attempts"] ?? 0) * second
    var totals = AttemptTotals()
    try store.write { writing in
      let job = JobRecord(job: "test", id: JobID(), createdAtNs: begin, command: ["true"])
      try writing.put(.meta, Array("job".utf8), JSON.encode(job))
      for number in 0..<(counts["attempts"] ?? 0) {
        var attempt = AttemptRecord(
          attempt: number + 1, generation: number + 1, boot: "b", startedAtNs: begin + number * second,
          resumedFrom: .init(level: Stored(.staged), step: number))
        attempt.endedAtNs = attempt.startedAtNs + second
        attempt.running = false
        attempt.outcome = Stored(.failed)
        attempt.cause = Stored(.crashed)
        attempt.exitStatus = 1
        attempt.firstStep = number + 1
        attempt.lastStep = number + 1
        attempt.steps = 1
        attempt.failure = Failure(
          type: "ValueError", message: "no",
          traceback: String(repeating: "x", count: Int(counts["traceback"] ?? 500)))
        try writing.put(.attempts, number + 1, JSON.encode(attempt))
        if number + 1 < counts["attempts"] ?? 0 { totals.add(attempt) }
      }
      if counts["sums"] == 1 { try writing.put(.meta, Array("attempt_totals".utf8), JSON.encode(totals)) }
      for number in 0..<(counts["events"] ?? 0) {
        var event = EventRecord(
          timeNs: begin, kind: Stored(text: "attempt_ended"), attempt: number, step: number, isWarning: true,
          message: "attempt \(number) crashed: exit 1 at step \(number): ValueError: no")
        event.sequence = number + 1
        try writing.put(.events, number + 1, JSON.encode(event))
      }
      for number in 0..<(counts["checkpoints"] ?? 0) {
        let cut = CutID()
        let checkpoint = CheckpointRecord(
          name: "step-\(number)", step: number, cut: cut, attempt: 1, epoch: 0, batch: number, bytes: 1000,
          digest: String(repeating: "a", count: 32),
          digestAlgorithm: "xxh128", createdAtNs: begin, tookNs: 5, metrics: ["loss": 0.5])
        let key = [number, cut.high, cut.low].flatMap { word in
          withUnsafeBytes(of: word.bigEndian) { Array($0) }
        }
        try writing.put(.checkpoints, key, JSON.encode(checkpoint))
      }
      for step in 0..<(counts["snapshots"] ?? 0) {
        let key = [0, 0, 0, 0] + withUnsafeBytes(of: step.bigEndian) { Array($0) }
        try writing.put(
          .snapshots, key, SampleStore.row(attempt: counts["attempts"] ?? 1, step: step, timeNs: begin + step)
        )
      }
    }
  }
}
