import Checkpoints
import Glibc
import JobStore
import POSIX
import Supervision
import SystemPackage
import TrainerProtocol

/// Finds what an attempt can start from: the newest verified checkpoint of any level, or a newer
/// full snapshot, or the beginning.
struct ResumeCandidates {
  struct Choice {
    var point: ResumePoint
    var file: ResumeFile.Point?
    /// Checkpoints that were passed over, and what is wrong with each.
    var damaged: [(name: String, what: String)] = []
    /// Checkpoints that were read in full and are whole.
    var verified: [String] = []
  }

  let directories: JobDirectory
  let jobID: JobID
  let slotCount: Int
  let checkpoints: LocalCheckpoints

  /// What the arena holds of this job. A half-written slot, or one of another job, is empty.
  func slots() -> [SlotContent] {
    (0..<UInt32(slotCount)).map { slot in
      image(slot).map { .complete(step: $0.description.step) } ?? .empty
    }
  }

  func image(_ slot: UInt32) -> StagedImage? {
    guard let image = StagedImage.read(ArenaSlot.path(in: directories.run, slot: slot)),
      image.description.jobID == jobID
    else { return nil }
    return image
  }

  /// - Parameters:
  ///   - known: durable checkpoints that this supervisor has published or verified itself: they are
  ///     not read again.
  func choose(store: JobStore, records: [CheckpointRecord], known: Set<String>) -> Choice {
    var choice = Choice(point: .beginning)
    let staged = (0..<UInt32(slotCount)).compactMap(image).max { $0.description.step < $1.description.step }
    if let staged {
      choice.point = .checkpoint(level: .staged, step: staged.description.step)
      choice.file = .init(
        level: Level.staged.rawValue, step: staged.description.step, path: staged.path.string,
        offsetBytes: UInt64(StagedImage.offsetBytes), lengthBytes: UInt64(staged.bytes.count),
        cutID: staged.description.cutID.description)
    }
    let staging = choice.point.step
    for record in records.filter({ $0.step > staging }).sorted(by: { $0.step > $1.step }) {
      if let what = fault(record, known: known) {
        choice.damaged.append((record.name, what))
        continue
      }
      if !known.contains(record.name) { choice.verified.append(record.name) }
      let path = checkpoints.path(of: record.name).appending(LocalCheckpoints.stateName)
      choice.point = .checkpoint(level: .durable, step: record.step)
      choice.file = .init(
        level: Level.durable.rawValue, step: record.step, path: path.string, offsetBytes: 0,
        lengthBytes: (try? OpenFile(path, .readOnly).size()).map(UInt64.init) ?? 0,
        cutID: record.cut.description)
      break
    }
    takeFullSnapshot(store, into: &choice)
    return choice
  }

  private func fault(_ record: CheckpointRecord, known: Set<String>) -> String? {
    let verdict = checkpoints.verify(record.name, thorough: !known.contains(record.name))
    switch verdict {
    case .damaged: return verdict.fault
    case .verified(let manifest):
      if manifest.jobID != jobID.hexadecimal { return "belongs to another job" }
      return manifest.step == record.step ? nil : "is of step \(manifest.step), not \(record.step)"
    }
  }

  /// A full snapshot lies in the store; the trainer finds it as a file in the run directory.
  private func takeFullSnapshot(_ store: JobStore, into choice: inout Choice) {
    // The step alone first: the image is read only where it is wanted.
    guard let newest = try? store.fullSnapshotStep(), newest > choice.point.step,
      let (step, image) = try? store.fullSnapshot(), step > choice.point.step,
      (try? image.withUnsafeBytes({ try ImageReader($0) }))?.loop.step == step
    else { return }
    let path = directories.run.appending("snapshot-0.safetensors")
    guard (try? FileSystem.replace(path, with: image, durable: false, clearing: true)) != nil else { return }
    choice.point = .checkpoint(level: .snapshot, step: step)
    choice.file = .init(
      level: Level.snapshot.rawValue, step: step, path: path.string, offsetBytes: 0,
      lengthBytes: UInt64(image.count), cutID: nil)
  }
}
