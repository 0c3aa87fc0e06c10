import Checkpoints
import JobStore
import POSIX
import Reporting
import Storage
import TrainerProtocol
import Vocabulary

/// Hands durable checkpoints to the replicator, and records and reports what becomes of them.
final class Replication {
  /// How long the end of a job that was not stopped waits for its last checkpoint to be replicated.
  static let patience = Duration.seconds(600)

  let replicator: Replicator
  private let remote: Remote
  private let catalogue: ResumeCatalogue
  private let events: EventLog
  private let degradations: Degradations
  private let checkpoints: LocalCheckpoints
  private let writer: StoreWriter
  /// Known to be at the remote storage, in the order in which they were stored.
  private var copies: [RemoteCopy]
  private(set) var isFlushing = false

  init(
    _ remote: Remote, _ replicator: Replicator, _ catalogue: ResumeCatalogue, _ events: EventLog,
    _ degradations: Degradations, _ recovered: Recovery.Result
  ) {
    self.remote = remote
    self.replicator = replicator
    self.catalogue = catalogue
    self.events = events
    self.degradations = degradations
    checkpoints = recovered.checkpoints
    writer = recovered.writer
    let known: [RemoteCopy]? = (try? recovered.store.document(RemoteCopy.document)) ?? nil
    copies = known ?? []
  }

  /// - Returns: nil: there is no remote storage.
  convenience init?(
    _ remote: (place: Remote, finding: RemoteStart.Finding)?, _ recovered: Recovery.Result,
    _ catalogue: ResumeCatalogue,
    _ events: EventLog, _ degradations: Degradations, _ mailbox: Mailbox<Runtime.Report>
  ) throws(POSIXError) {
    guard let remote else { return nil }
    let (store, record) = (recovered.store, recovered.job)
    let finding = remote.finding
    recovered.writer.submit([
      .document(RemoteStart.markDocument, finding.mark.hexadecimal),
      .document(RemoteStart.unusableDocument, finding.unusable.map(\.text).sorted()),
    ])
    let replicator = try Replicator(
      remote.place, jobID: record.id.hexadecimal, mark: finding.mark, unusable: finding.unusable,
      history: { try? RemoteHistory(store, record) }, report: { mailbox.post(.replication($0)) })
    self.init(remote.place, replicator, catalogue, events, degradations, recovered)
    let unusable = Set(finding.unusable.map(\.text))
    retainCopies { !unusable.contains($0.key) }
  }

  // MARK: What is there

  private func add(_ key: StorageKey, _ record: CheckpointRecord) {
    let now = Clock.wallNanoseconds
    catalogue.markReplicated(record, at: now)
    var checkpoint = record
    checkpoint.replicatedAtNs = now
    copies.removeAll { $0.key == key.text }
    copies.append(RemoteCopy(key: key.text, checkpoint: checkpoint))
    writer.submit([.document(RemoteCopy.document, copies)])
  }

  /// The others are no longer there, and nothing claims that they are.
  private func retainCopies(_ isThere: (RemoteCopy) -> Bool) {
    let gone = copies.filter { !isThere($0) }
    if gone.isEmpty { return }
    copies.removeAll { gone.contains($0) }
    writer.submit([.document(RemoteCopy.document, copies)])
    for copy in gone where !copies.contains(where: { $0.checkpoint.cut == copy.checkpoint.cut }) {
      catalogue.markReplicated(copy.checkpoint, at: nil)
    }
  }

  // MARK: Replicating

  /// The newest checkpoint of the whole state and the newest with only weights, if they are not replicated.
  private var unreplicated: [CheckpointRecord] {
    [true, false].compactMap { isWhole in
      catalogue.undamaged.filter { $0.isWhole == isWhole }.max { $0.step < $1.step }
    }.filter { $0.replicatedAtNs == nil }
  }

  /// Replicates the newest checkpoints, unless that was done.
  func submitNewest() {
    for record in unreplicated {
      replicator.submit(.init(record: record, path: checkpoints.path(of: record.name)))
    }
  }

  /// Whether the newest checkpoint waits to be replicated.
  var isBehind: Bool { !unreplicated.isEmpty }

  /// Replicates what waits, as the supervisor is about to exit.
  func flush() {
    isFlushing = true
    submitNewest()
    replicator.flush()
  }

  func handle(_ report: Replicator.Report) {
    switch report {
    case .replicated(let record, let key, let took):
      add(key, record)
      degradations.end("replication", "checkpoints reach the remote storage again")
      events.log(
        .replicated,
        "step \(Words.number(record.step)) is replicated: \(record.name), \(Words.bytes(record.bytes)) in "
          + "\(Words.duration(took))", step: record.step)
    case .listed(let keys):
      let keys = Set(keys.map(\.text))
      retainCopies { keys.contains($0.key) }
    case .failed(let record, let why, let hint, let pause):
      degradations.begin(
        "replication",
        "\(record.name) does not reach the remote storage \(remote.storage.name): \(why)"
          + (hint.map { " (\($0.text))" } ?? "")
          + "; next try with the next checkpoint, in \(Words.duration(pause)) at the latest",
        step: record.step
      )
    case .upkeepFailed(let why):
      degradations.begin(
        "upkeep",
        "checkpoints reach the remote storage \(remote.storage.name), but its history is not up to date or old ones "
          + "stay: \(why)")
    case .upkeepDone: degradations.end("upkeep", "the remote storage is kept up to date again")
    case .heartbeatFailed(let why):
      degradations.begin(
        "heartbeat", "the heartbeat does not reach the remote storage \(remote.storage.name): \(why)")
    case .heartbeatWritten:
      degradations.end("heartbeat", "the heartbeat reaches the remote storage again")
    case .takenOver(let host):
      degradations.begin(
        "replication",
        "another machine, \(host), runs this job against the remote storage \(remote.storage.name); nothing more is "
          + "replicated from here: stop one of them")
    case .idle: isFlushing = false
    }
  }

  /// Called when the supervisor exits.
  func end(timeout: Duration) {
    if isBehind {
      events.log(
        .notReplicated,
        "the newest checkpoint did not reach the remote storage \(remote.storage.name) in time; it is on this machine's "
          + "disk, and the next start replicates it",
        isWarning: true)
    }
    replicator.endHeartbeat(timeout: timeout)
    replicator.stop()
  }
}
