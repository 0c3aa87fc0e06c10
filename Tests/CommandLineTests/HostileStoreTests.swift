import Glibc
import JobStore
import POSIX
import Reporting
import StoreFixtures
import SystemPackage
import Testing
import Vocabulary

@testable import HoldfastCLI

/// Every command works with any number in a store.
@Suite struct HostileStoreTests {
  @Test(arguments: HostileNumbers.allCases) func commandsSurviveAnyNumberInAnyDocument(
    numbers: HostileNumbers
  ) throws {
    var template = Array("/dev/shm/holdfast-hostile-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let state = FilePath(platformString: template)
    defer { try? FileSystem.removeTree(state) }
    let sample = SampleStore()
    var shown = 0
    for index in sample.documents.indices {
      let document = sample.documents[index]
      for text in numbers.oneByOne(document.text, isReadable: document.isReadable) {
        var changed = sample
        changed.documents[index].text = text
        try changed.write(to: state)
        try Self.show(state)
        shown += 1
      }
    }
    #expect(shown > 100)
  }

  /// Reads and prints everything as the commands do.
  private static func show(_ state: FilePath) throws {
    let reader = try JobReader.open(nil, stateDirectory: state.string)
    let nowhere = open("/dev/null", O_WRONLY)
    defer { close(nowhere) }
    let output = Output(
      descriptor: nowhere, hasColor: false, hasUnicode: true, isTerminal: false, canRedraw: false)
    for isSupervised in [false, true] {
      var status = try JobStatus(reader)
      status.isSupervised = isSupervised
      if isSupervised { status.state = .running }
      #expect(!status.text(output).isEmpty && !status.json.text().isEmpty)
      let attempts = try reader.store.attempts.newest(10).map { $0.updated(to: status.newest) }
      var history = HistoryText(status, output)
      for attempt in attempts {
        history.add(attempt)
        #expect(!attempt.json.text().isEmpty)
      }
      history.end()
      var checkpoints = CheckpointsText(status, output)
      for record in status.checkpoints { checkpoints.add(reader.examined(record)) }
      checkpoints.end()
      let screen = WatchScreen(
        status: status, attempts: attempts, run: try reader.store.sampledSnapshots(200),
        recent: try reader.store.newestSnapshots(2000), output: output, size: .init(columns: 80, rows: 24))
      #expect(!screen.lines.isEmpty)
      try reader.store.events.forEach(after: 0) { #expect(!$0.json.text().isEmpty) }
    }
  }
}
