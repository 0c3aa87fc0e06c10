import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Storage
import Supervision
import SystemPackage
import TrainerProtocol

/// Finds the job at its remote before it is loaded: on a new machine with an empty disk, or when another machine has
/// continued it.
public struct RemoteStart {
  let remote: Remote
  let job: String
  let checkpoints: FilePath
  let store: JobStore

  /// The mark of this run of the supervisor in the remote. An earlier one of this machine is no other machine.
  public static let markDocument = "remote_mark"

  /// Keys of checkpoints at the remote that could not be loaded, in the store.
  static let unusableDocument = "remote_unusable"

  struct Finding {
    /// Of this run of the supervisor.
    var mark: UInt32
    /// Checkpoints that are listed there, but were found damaged or missing.
    var unusable: Set<StorageKey>
  }

  /// - Throws: another machine runs the job; the remote does not answer, and nothing is known of the job here.
  func run() throws -> Finding {
    let isKnown = try store.job() != nil
    // The same mark again continues uploads that were interrupted, unless another machine ran the job meanwhile.
    var mark = UInt32.random(in: 1...UInt32.max)
    if let own: String = try store.document(Self.markDocument) { mark = UInt32(own, radix: 16) ?? mark }
    let known: [String]? = try store.document(Self.unusableDocument)
    var unusable = Set((known ?? []).compactMap { StorageKey($0) })
    do {
      switch try judgeHeartbeat() {
      case .free: break
      case .takenOver: mark = UInt32.random(in: 1...UInt32.max)
      case .living(let other): throw taken(other)
      }
      let history: RemoteHistory? = try object(Remote.history)
      let loaded = try loadNewest(of: store.job()?.id ?? history?.job.id, &unusable)
      if !isKnown, let history { adopt(history, loaded) }
    } catch let error as StorageError {
      guard isKnown, error.code != .unsupported, error.code != .program else { throw failure(error) }
      Console.warning(
        "cannot reach the remote storage: \(error.reason); the job continues with what is on this machine")
    }
    return Finding(mark: mark, unusable: unusable)
  }

  private func failure(_ error: StorageError) -> SupervisorError {
    SupervisorError(
      .io, "cannot find out whether the remote storage \(remote.storage.name) has this job: \(error.what)",
      why: error.why, hint: error.hint ?? "start it when the storage answers, or without --remote")
  }

  // MARK: The heartbeat

  private enum Claim {
    /// There is no heartbeat of another machine.
    case free
    /// There is one that stands still.
    case takenOver
    case living(Heartbeat)
  }

  private static let never: Transfer.Cancellation = { false }

  /// Waits until the heartbeat of another machine stands still, by this machine's clock.
  private func judgeHeartbeat() throws(StorageError) -> Claim {
    guard let first = try heartbeat(), !first.isOver else { return .free }
    let own: String? = (try? store.document(Self.markDocument)) ?? nil
    guard first.mark != own else { return .free }
    Console.line(
      "another machine (\(first.host), pid \(first.pid)) may be running job \(job); waiting up to "
        + "\(Words.duration(first.patience)) for its heartbeat")
    let began = Clock.monotonicNanoseconds
    while Duration.nanoseconds(Clock.monotonicNanoseconds - began) < first.patience {
      usleep(useconds_t(min(first.intervalSeconds, 5) * 500_000))
      let now = try heartbeat()
      guard let now, !now.isOver else { return .free }
      if now != first { return .living(now) }
    }
    Console.line("the heartbeat of \(first.host) stands still; this machine takes the job over")
    return .takenOver
  }

  private func heartbeat() throws(StorageError) -> Heartbeat? { try object(Remote.heartbeat) }

  /// - Returns: nil: there is none, or it stays unreadable. A filesystem without atomic writes may show a part of an
  ///   object for a moment.
  private func object<Value: Decodable>(_ key: StorageKey) throws(StorageError) -> Value? {
    guard let objects = remote.objects else { return nil }
    for _ in 0..<5 {
      guard let bytes = try objects.read(key, isCancelled: Self.never) else { return nil }
      if let value: Value = JSON.decode(bytes) { return value }
      usleep(500_000)
    }
    Console.warning(
      "the job's \(key) at the remote storage \(remote.storage.name) is damaged and is not used")
    return nil
  }

  private func taken(_ found: Heartbeat) -> SupervisorError {
    SupervisorError(
      .alreadySupervised, "job '\(job)' is running on another machine: \(found.host), pid \(found.pid)",
      why: "its heartbeat in \(remote.storage.name) changes",
      hint: "stop it there, or use another --remote or --job")
  }

  // MARK: Checkpoints and history

  /// Loads the newest checkpoint if it is newer than those here; a damaged one is skipped, and one that is listed but
  /// missing.
  /// - Parameter unusable: those that were skipped, now or earlier.
  /// - Returns: its name here; nil: none was loaded.
  private func loadNewest(
    of known: JobID?, _ unusable: inout Set<StorageKey>
  ) throws(StorageError) -> (name: String, key: StorageKey)? {
    let listed = try remote.storage.list(isCancelled: Self.never)
    let id = known?.hexadecimal ?? Self.newestRun(listed)
    let local = LocalCheckpoints(directory: checkpoints)
    let names = (try? local.names()) ?? []
    let own = names.compactMap { local.verify($0, thorough: false).manifest }.filter {
      $0.weightsOnly != true && (id == nil || $0.jobID == id)
    }
    let newest = own.map(\.step).max()
    unusable.formIntersection(listed.checkpoints.map(\.key))
    let candidates = listed.checkpointsByStep.filter {
      !$0.isWeightsOnly && ($0.manifest == nil || id == nil || $0.manifest?.jobID == id)
    }
    var skipped = 0
    for found in candidates.reversed() where newest.map({ found.step ?? 0 > $0 }) ?? true {
      if let fault = found.fault {
        skip(found, fault, &skipped)
        continue
      }
      guard let step = found.step else { continue }
      do throws(StorageError) {
        let name = try load(found, names)
        unusable.remove(found.key)
        Console.line(
          "loaded step \(Words.number(step)) from the remote storage \(remote.storage.name)"
            + (found.bytes.map { ": \(Words.bytes($0))" } ?? ""))
        return (name, found.key)
      } catch {
        guard error.code == .damaged || error.code == .missing else { throw error }
        unusable.insert(found.key)
        let isMissing = error.code == .missing
        skip(found, isMissing ? "it is listed, but missing (\(error.reason))" : error.reason, &skipped)
      }
    }
    if skipped > 0, newest == nil {
      Console.warning(
        "no checkpoint at the remote storage \(remote.storage.name) can be used: the job starts from the beginning; "
          + "\(Words.count(UInt64(skipped), "damaged or missing one")) there \(skipped == 1 ? "stays" : "stay")"
      )
    }
    return nil
  }

  private func skip(_ found: StoredCheckpoint, _ why: String, _ skipped: inout Int) {
    skipped += 1
    Console.warning("\(found.key) at the remote storage cannot be used: \(why); trying an older one")
  }

  /// The id of the run that was written to last. An earlier one may have made more steps.
  private static func newestRun(_ listed: StorageListing) -> String? {
    listed.checkpoints.compactMap(\.manifest)
      .max { Timestamp.nanoseconds($0.createdAt) ?? 0 < Timestamp.nanoseconds($1.createdAt) ?? 0 }?.jobID
  }

  private func load(_ found: StoredCheckpoint, _ taken: [String]) throws(StorageError) -> String {
    var name = found.key.name
    if taken.contains(name) { name += "-\(found.manifest?.cutID.prefix(8) ?? "remote")" }
    try? FileSystem.makeDirectories(checkpoints, mode: 0o750)
    try remote.storage.load(found.key, into: checkpoints.appending(name), Transfer())
    return name
  }

  /// - Parameter loaded: the checkpoint that was loaded.
  private func adopt(_ history: RemoteHistory, _ loaded: (name: String, key: StorageKey)?) {
    var record = history.job
    record.job = job
    var operations = [.job(record)] + history.operations
    let manifest = loaded.flatMap {
      LocalCheckpoints(directory: checkpoints).verify($0.name, thorough: false).manifest
    }
    if let loaded, let manifest,
      var known = history.checkpoints.last(where: { $0.cut.hexadecimal == manifest.cutID })
    {
      // It need not be replicated again.
      known.name = loaded.name
      known.replicatedAtNs = Clock.wallNanoseconds
      operations.append(.checkpoint(known))
      operations.append(
        .document(RemoteCopy.document, [RemoteCopy(key: loaded.key.text, checkpoint: known)]))
    }
    // It may have been stored after the history.
    if let manifest, let maker = history.attempts.last(where: { $0.attempt == manifest.attempt }),
      maker.lastStep ?? 0 < manifest.step
    {
      operations.append(.attempt(maker.reaching(step: manifest.step)))
    }
    do {
      try store.change(operations)
      Console.line(
        "continuing job \(job): \(Words.count(UInt64(history.attempts.count), "earlier attempt")) from the remote "
          + "storage")
    } catch {
      Console.warning("the job's history at the remote storage could not be used: \(error)")
    }
  }
}
