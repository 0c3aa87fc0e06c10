import Checkpoints
import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Finds what an attempt can start from: the newest checkpoint of any level, a newer full snapshot, or the beginning.
/// Only headers and manifests are checked here; `ResumePointReading` reads the chosen one in full.
struct ResumeCandidates: Sendable {
  /// A source that the state can be loaded from.
  enum Source: Hashable, Sendable {
    case staged(slot: UInt32, ImageDescription, path: FilePath, lengthBytes: UInt64)
    case durable(CheckpointRecord)
    case snapshot(step: UInt64)

    /// Identifies the state, not the place.
    var identity: String {
      switch self {
      case .staged(_, let image, _, _): "staged \(image.cutID) \(image.step)"
      case .durable(let record): "durable \(record.name)"
      case .snapshot(let step): "snapshot \(step)"
      }
    }

    /// The checkpoint, if it is a copy of the trainer's own file.
    var adopted: CheckpointRecord? {
      if case .durable(let record) = self, record.adopted != nil { return record }
      return nil
    }

    var point: ResumePoint {
      switch self {
      case .staged(_, let image, _, _): .checkpoint(level: .staged, step: image.step)
      case .durable(let record):
        .checkpoint(level: record.adopted == nil ? .durable : .adopted, step: record.step)
      case .snapshot(let step): .checkpoint(level: .snapshot, step: step)
      }
    }
  }

  /// Identities of candidates that were read in full, by result.
  struct Knowledge {
    var whole: Set<String> = []
    var damaged: Set<String> = []
  }

  struct Choice {
    var source: Source?
    var file: ResumeFile.Point?
    /// It was not read in full, and there is a digest to compare it with.
    var isUnread = false
    var slots: [SlotContent] = []
    /// The number, from 1, of the epoch at whose end the newest of them was saved; 0: elsewhere.
    var completedEpochs: UInt64 = 0
    /// Files of slots that are marked as complete but have a damaged header.
    var unreadable: [FilePath] = []
    /// Candidates that this choice found to be damaged.
    var damaged: [(source: Source, what: String)] = []

    var point: ResumePoint { source?.point ?? .beginning }
  }

  let directories: JobDirectory
  let jobID: JobID
  let slotCount: Int
  /// Whether the trainer's own files are its checkpoints.
  let adopts: Bool
  let checkpoints: LocalCheckpoints
  let digests: ImageDigests
  let arena: ArenaPreparation

  init(
    _ directories: JobDirectory, jobID: JobID, slotCount: Int, adopts: Bool, checkpoints: LocalCheckpoints
  ) {
    self.adopts = adopts
    self.directories = directories
    self.jobID = jobID
    self.slotCount = slotCount
    self.checkpoints = checkpoints
    arena = ArenaPreparation(directories.run, slotCount: slotCount)
    digests = ImageDigests(directories.run) { Self.image($0, directories.arena, jobID) }
  }

  /// The image that a slot contains; nil for an incomplete one or one of another job.
  func image(_ slot: UInt32) -> StagedImage? { Self.image(slot, directories.arena, jobID) }

  private static func image(_ slot: UInt32, _ place: ArenaPlace, _ jobID: JobID) -> StagedImage? {
    guard let image = place.image(slot: slot), image.description.jobID == jobID
    else { return nil }
    return image
  }

  /// The fault of an image whose header differs from its slot's header; nil: they agree. Reading the header also
  /// checks that the tensors' extents add up to the image's length.
  static func fault(of image: StagedImage) -> String? {
    do {
      let step = try ImageReader.loop(image.bytes).step
      return step == image.description.step
        ? nil : "its slot is of step \(image.description.step), the image of step \(step)"
    } catch {
      return error.what
    }
  }

  func choose(
    store: JobStore, records: [CheckpointRecord], _ known: Knowledge, deaths: [RestoreDeaths]
  ) -> Choice {
    var choice = Choice()
    var sources =
      staged(known, &choice)
      + records.filter { $0.isWhole && $0.adopted == nil }.map { Source.durable($0) }
    if let step = try? store.fullSnapshotStep() { sources.append(.snapshot(step: step)) }
    // A trainer that uses the protocol cannot load the others, and their numbers are not its steps.
    if sources.isEmpty, adopts { sources = records.filter { $0.adopted != nil }.map { Source.durable($0) } }
    var candidates = sources.map { source in
      ResumeCandidate(source.point, condition(of: source, known))
    }
    while let best = ResumeChoice.best(of: candidates, deaths: deaths) {
      let source = sources[best]
      do throws(Fault) {
        choice.file = try place(source, store)
        choice.source = source
        // No verdict reaches a program without the protocol: adopted ones are verified before it starts.
        choice.isUnread = candidates[best].condition == .unread && source.adopted == nil
        break
      } catch {
        candidates[best].condition = .damaged
        choice.damaged.append((source, error.what))
      }
    }
    fillSlots(of: &choice, candidates, sources, deaths)
    return choice
  }

  private struct Fault: Error {
    var what: String
  }

  private func staged(_ known: Knowledge, _ choice: inout Choice) -> [Source] {
    var sources: [Source] = []
    for slot in 0..<UInt32(slotCount) {
      guard let image = image(slot) else {
        if let path = directories.arena.unreadable(slot: slot) { choice.unreadable.append(path) }
        continue
      }
      let source = Source.staged(
        slot: slot, image.description, path: image.path, lengthBytes: UInt64(image.bytes.count))
      if known.damaged.contains(source.identity) { continue }
      let structure = digests.hasVerified(slot, image) ? nil : Self.fault(of: image)
      if let what = structure ?? digests.fault(slot, of: image.description.cutID) {
        choice.damaged.append((source, what))
      } else {
        sources.append(source)
      }
    }
    return sources
  }

  private func condition(of source: Source, _ known: Knowledge) -> ResumeCandidate.Condition {
    if known.damaged.contains(source.identity) { return .damaged }
    switch source {
    // Without a digest only the structure can be checked. Read each time, since the arena is memory that a faulty
    // trainer may have mapped.
    case .staged(let slot, let image, _, _):
      return digests.digest(slot, of: image.cutID) == nil ? .whole : .unread
    case .durable: return known.whole.contains(source.identity) ? .whole : .unread
    case .snapshot: return .unread
    }
  }

  /// The usable content of each slot.
  private func fillSlots(
    of choice: inout Choice, _ candidates: [ResumeCandidate], _ sources: [Source], _ deaths: [RestoreDeaths]
  ) {
    choice.slots = [SlotContent](repeating: .empty, count: slotCount)
    var newest: ImageDescription?
    for (candidate, source) in zip(candidates, sources) where candidate.condition != .damaged {
      guard case .staged(let slot, let image, _, _) = source else { continue }
      if source != choice.source, ResumeChoice.isSkipped(candidate.point, deaths) { continue }
      choice.slots[Int(slot)] = .complete(step: image.step)
      if image.step >= newest?.step ?? 0 { newest = image }
    }
    choice.completedEpochs = UInt64(newest?.completedEpochs ?? 0)
  }

  // MARK: For the trainer

  /// Where the trainer finds the source.
  /// - Returns: nil: in its own file.
  private func place(_ source: Source, _ store: JobStore) throws(Fault) -> ResumeFile.Point? {
    switch source {
    case .staged(_, let image, let path, let lengthBytes):
      return .init(
        level: Stored(.staged), step: image.step, path: path.string,
        offsetBytes: UInt64(StagedImage.offsetBytes), lengthBytes: lengthBytes,
        cutID: image.cutID.description)
    case .durable(let record):
      let verdict = checkpoints.verify(record.name, of: jobID, step: record.step, thorough: false)
      if let fault = verdict.fault { throw Fault(what: fault) }
      if record.adopted != nil { return nil }
      let path = checkpoints.path(of: record.name).appending(LocalCheckpoints.stateName)
      return .init(
        level: Stored(.durable), step: record.step, path: path.string, offsetBytes: 0,
        lengthBytes: (try? OpenFile(path, .readOnly).size()).map(UInt64.init) ?? 0,
        cutID: record.cut.description)
    case .snapshot(let step):
      return try placeFullSnapshot(step, store)
    }
  }

  var snapshotPath: FilePath { directories.run.appending("snapshot-0.safetensors") }

  /// Copies a full snapshot from the store to a file in the run directory, for the trainer.
  private func placeFullSnapshot(_ step: UInt64, _ store: JobStore) throws(Fault) -> ResumeFile.Point {
    guard let (found, image) = try? store.fullSnapshot(), found == step else {
      throw Fault(what: "its bytes in the store differ from those that were written")
    }
    do {
      let inside = try image.withUnsafeBytes({ try ImageReader($0) }).loop.step
      guard inside == step else { throw Fault(what: "the image is of step \(inside)") }
    } catch {
      throw (error as? Fault) ?? Fault(what: (error as? CheckpointError)?.what ?? "\(error)")
    }
    do {
      try FileSystem.replace(snapshotPath, with: image, durable: false, clearing: true)
    } catch {
      throw Fault(what: "cannot write it for the trainer: \(error)")
    }
    return .init(
      level: Stored(.snapshot), step: step, path: snapshotPath.string, offsetBytes: 0,
      lengthBytes: UInt64(image.count), cutID: nil)
  }
}
