import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Synchronization
import SystemPackage
import TrainerProtocol

/// Finds the trainer's checkpoints, copies the newest complete one, and puts a copy back where the trainer's own is
/// damaged. One call at a time, on a separate thread: the files may be large, or on a server that does not answer.
final class Adopter: Sendable {
  struct Request: Sendable {
    /// The trainer may be writing.
    var isRunning: Bool
    var job: JobRecord
    var attempt: UInt64
    /// The newest adopted checkpoint that is not known to be damaged.
    var newest: CheckpointRecord?
    /// Of the checkpoint that would be published.
    var number: UInt64
  }

  enum Outcome: Sendable {
    case nothing
    case published(CheckpointRecord)
    /// The newest checkpoint has the same bytes as this file.
    case same(AdoptedFile)
    case failed(String)
  }

  struct Result: Sendable {
    var outcome = Outcome.nothing
    /// Files that are newer than what is adopted, and cannot be used.
    var unusable: [(path: String, why: String)] = []
    var took = Duration.zero
  }

  private struct State {
    /// What was judged in this state: copied, superseded, or incomplete.
    var judged: [String: AdoptionCandidate] = [:]
    var incomplete: [String: String] = [:]
    /// When a candidate was first seen in this state.
    var seen: [String: (candidate: AdoptionCandidate, atNs: UInt64)] = [:]
  }

  let settings: AdoptionSettings
  let checkpoints: LocalCheckpoints
  /// Files of an earlier run, which are not used.
  private let ignored: Set<AdoptedFile>
  private let state = Mutex(State())
  private let cancelled = Atomic(false)

  init(_ settings: AdoptionSettings, _ checkpoints: LocalCheckpoints, ignoring ignored: [AdoptedFile]) {
    self.settings = settings
    self.checkpoints = checkpoints
    self.ignored = Set(ignored)
  }

  func cancel() { cancelled.store(true, ordering: .relaxed) }

  var isCancelled: @Sendable () -> Bool { { [self] in cancelled.load(ordering: .relaxed) } }

  // MARK: Candidates

  /// All candidates, and what the pattern matches besides.
  static func candidates(
    _ settings: AdoptionSettings
  ) -> (usable: [AdoptionCandidate], unusable: [(path: String, why: String)]) {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(settings.pattern, 0, nil, &found) == 0 else { return ([], []) }
    var usable: [AdoptionCandidate] = []
    var unusable: [(path: String, why: String)] = []
    for index in 0..<Int(found.gl_pathc) {
      guard let text = found.gl_pathv[index], let path = String(validatingCString: text) else { continue }
      do throws(AdoptionCandidate.Unusable) {
        if let one = try AdoptionCandidate(path, marker: settings.marker) { usable.append(one) }
      } catch {
        unusable.append((path, error.why))
      }
    }
    return (usable, unusable)
  }

  /// Those that were not judged, the newest first.
  private func candidates(_ request: Request, _ result: inout Result) -> [AdoptionCandidate] {
    let (usable, unusable) = Self.candidates(settings)
    result.unusable = unusable
    return state.withLock { state in
      let paths = Set(usable.map(\.path))
      state.judged = state.judged.filter { paths.contains($0.key) }
      state.seen = state.seen.filter { paths.contains($0.key) }
      return usable.filter { candidate in
        if state.judged[candidate.path] == candidate || ignored.contains(candidate.record) { return false }
        // Judged by an earlier supervisor.
        let newest = request.newest?.adopted?.modifiedAtNs ?? 0
        if state.judged[candidate.path] == nil, candidate.modifiedNs <= newest {
          state.judged[candidate.path] = candidate
          return false
        }
        state.incomplete[candidate.path] = nil
        if state.seen[candidate.path]?.candidate != candidate {
          state.seen[candidate.path] = (candidate, Clock.bootNanoseconds)
        }
        return true
      }.sorted { ($0.modifiedNs, $0.path) > ($1.modifiedNs, $1.path) }
    }
  }

  // MARK: Adopting

  /// Copies the newest complete file that is not a checkpoint yet.
  func adopt(_ request: Request) -> Result {
    let began = Clock.monotonicNanoseconds
    var result = Result()
    for candidate in candidates(request, &result) {
      do throws(CheckpointError) {
        guard try isSettled(candidate, request) else { continue }
        let draft = Manifest(
          job: request.job.job, jobID: request.job.id.hexadecimal, attempt: request.attempt,
          generation: request.attempt, cutID: CutID().hexadecimal, step: request.number, epoch: 0, batch: 0,
          samples: 0, createdAt: Timestamp.text(Clock.wallNanoseconds), metrics: [:])
        let outcome = try checkpoints.adopt(
          candidate.source, draft, name: "adopted-\(request.number)",
          known: request.newest.flatMap(Self.digest),
          isUnchanged: { candidate.isUnchanged }, isCancelled: isCancelled)
        switch outcome {
        case .changed: continue
        case .incomplete(let why):
          markIncomplete(candidate, why)
          continue
        case .same: result.outcome = .same(candidate.record)
        case .published(let published):
          result.outcome = .published(Self.record(published, candidate, since: began))
        }
        supersede(candidate)
        break
      } catch {
        if error.code != .cancelled { result.outcome = .failed("cannot copy \(candidate.path): \(error)") }
        break
      }
    }
    result.unusable += state.withLock { $0.incomplete.map { ($0.key, $0.value) } }
    result.took = .nanoseconds(Clock.monotonicNanoseconds - began)
    return result
  }

  private static func digest(of record: CheckpointRecord) -> Digest? {
    Digest(digest: record.digest, algorithm: record.digestAlgorithm, sha256: record.sha256)
  }

  static func record(
    _ published: PublishedCheckpoint, _ candidate: AdoptionCandidate, since began: UInt64
  ) -> CheckpointRecord {
    var record = CheckpointRecord(
      published, CutID(published.manifest.cutID) ?? CutID(), since: began)
    record.adopted = candidate.record
    return record
  }

  /// A file without a format that shows its end counts as complete when it did not change for this long.
  private static let quietNs: UInt64 = 2_000_000_000

  /// Whether nothing writes to it any more, and its structure is complete.
  private func isSettled(_ candidate: AdoptionCandidate, _ request: Request) throws(CheckpointError) -> Bool {
    var isProven = candidate.kind == .file
    do throws(POSIXError) {
      for file in candidate.files where candidate.kind == .file {
        let found = try FileCompleteness(
          of: OpenFile(file.source, .readOnly), named: file.path, thorough: false)
        isProven = isProven && found.isProven
        guard let fault = found.fault else { continue }
        // While the trainer runs, it may be continued.
        if !request.isRunning { markIncomplete(candidate, fault) }
        return false
      }
    } catch {
      if candidate.isUnchanged { markIncomplete(candidate, "cannot read it: \(error.reason)") }
      return false
    }
    guard request.isRunning else { return true }
    if OpenWriters.exist(for: candidate) { return false }
    let seenNs = state.withLock { $0.seen[candidate.path]?.atNs } ?? Clock.bootNanoseconds
    return isProven || Clock.bootNanoseconds - seenNs >= Self.quietNs
  }

  private func markIncomplete(_ candidate: AdoptionCandidate, _ why: String) {
    state.withLock {
      $0.judged[candidate.path] = candidate
      $0.incomplete[candidate.path] = why
    }
  }

  /// Older files are not copied any more, unless they change.
  private func supersede(_ newest: AdoptionCandidate) {
    state.withLock { state in
      for (path, seen) in state.seen
      where seen.candidate.modifiedNs <= newest.modifiedNs && state.incomplete[path] == nil {
        state.judged[path] = seen.candidate
      }
      state.judged[newest.path] = newest
    }
  }

  /// Judges all files again.
  func forget() { state.withLock { $0.judged = [:] } }

  /// The file at this path is a copy of a checkpoint.
  func markJudged(_ path: String) {
    let candidate = Self.candidates(settings).usable.first { $0.path == path }
    state.withLock { $0.judged[path] = candidate }
  }

  /// Renames incomplete files, for a program that would load the newest one by itself.
  /// - Returns: old and new paths.
  func setAsideIncomplete() -> [(from: String, to: String)] {
    let paths = state.withLock { state in
      defer { state.incomplete = [:] }
      return state.incomplete.keys.sorted()
    }
    return paths.compactMap { path in
      (try? AdoptedFiles.setAside(FilePath(path))).map { (path, $0.string) }
    }
  }
}
