import Checkpoints
import Glibc
import Holdfast
import POSIX
import Reporting
import SystemPackage

/// A state of 512 MiB: staging it beside a copy of as many bytes, publishing it beside the disk.
struct CheckpointBenchmark {
  static let bytes = 512 << 20

  let place: FilePath
  let memory: FilePath

  func run() throws {
    let tensor = Tensor([Float](repeating: 1.5, count: Self.bytes / 16))
    let parts = (0..<4).map { ("layer\($0)", StateValue.tensor(tensor)) }
    let state = StateValue.object(Dictionary(uniqueKeysWithValues: parts))
    let slot = ArenaSlot(directory: memory, slot: 0)
    let identity = ImageDescription(
      jobID: JobID(), cutID: CutID(), attempt: 1, generation: 1, globalRank: 0, worldSize: 1, step: 1)
    func stage() throws {
      let image = ImageWriter(
        [("model", state)], loop: ImageLoop(step: 1, epoch: 0, batch: 1, samples: 1, parts: []))
      try slot.stage(identity, imageBytes: image.imageBytes) { image.write(into: $0) }
    }
    try stage()
    let target = UnsafeMutableRawPointer.allocate(byteCount: Self.bytes, alignment: 4096)
    defer { target.deallocate() }
    func copy() {
      for quarter in 0..<4 {
        tensor.withUnsafeBytes { bytes in
          guard let base = bytes.baseAddress else { return }
          memcpy(target + quarter * bytes.count, base, bytes.count)
        }
      }
    }
    copy()
    // In turn, so that whatever else the machine does meets both.
    var staging: [Double] = []
    var copying: [Double] = []
    for _ in 0..<9 {
      staging.append(try nanosecondsTaken { try stage() })
      copying.append(nanosecondsTaken { copy() })
    }
    let stall = Sample(staging).median
    let limit = Sample(copying).median
    Report.line(
      "staging 512 MiB", "\(Report.nanoseconds(stall)), \(Report.ratio(stall / limit)) × memcpy",
      "≤ 1.3 × warm memcpy",
      isMet: stall <= 1.3 * limit)
    Report.peer("warm memcpy", Report.nanoseconds(limit))
    try publish()
  }

  private func publish() throws {
    guard let image = StagedImage.read(ArenaSlot.path(in: memory, slot: 0)) else { throw Missing() }
    let checkpoints = LocalCheckpoints(directory: place.appending("checkpoints"))
    var publishing: [Double] = []
    var writing: [Double] = []
    var ratios: [Double] = []
    var digesting: [Double] = []
    var last = ""
    // In pairs, so that whatever else uses the disk meets both.
    for step in 0..<9 {
      let manifest = Manifest(
        job: "bench", jobID: JobID().hexadecimal, attempt: 1, generation: 1, cutID: CutID().hexadecimal,
        step: UInt64(step), epoch: 0, batch: 0, samples: 0, createdAt: "2026-01-01T00:00:00.000Z",
        metrics: [:])
      if !last.isEmpty { try checkpoints.remove(last) }
      let published = try nanosecondsTaken {
        last = try checkpoints.publish(image: image.bytes, manifest).name
      }
      let written = try nanosecondsTaken { try writeDirectly(image.bytes) }
      publishing.append(published)
      writing.append(written)
      ratios.append(written / published)
      digesting.append(processorNanosecondsTaken { _ = Digest(of: image.bytes) })
    }
    let ratio = Sample(ratios).median
    Report.line(
      "publishing it, digest included",
      "\(Report.nanoseconds(Sample(publishing).median)), \(Report.ratio(ratio)) of the disk",
      "≥ 0.95 of O_DIRECT write + fsync", isMet: ratio >= 0.95)
    Report.peer("O_DIRECT write + fsync", Report.nanoseconds(Sample(writing).median))
    let perGiB = Sample(digesting).median / 1e9 * Double(1 << 30) / Double(image.bytes.count)
    Report.line(
      "its digest", "\(Report.ratio(perGiB)) core-seconds per GiB", "≤ 0.15", isMet: perGiB <= 0.15)
    try RestoreBenchmark(checkpoints: checkpoints, name: last).run()
  }

  /// Time of this thread on a processor.
  private func processorNanosecondsTaken(_ body: () -> Void) -> Double {
    func used() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
    let before = used()
    body()
    return used() - before
  }

  private struct Missing: Error {}

  private func writeDirectly(_ bytes: UnsafeRawBufferPointer) throws {
    let path = place.appending("direct")
    let file = try OpenFile(path, .writeDirectly, create: .always(mode: 0o600))
    let whole = bytes.count / 4096 * 4096
    try file.allocate(bytes: whole)
    for offset in stride(from: 0, to: whole, by: 8 << 20) {
      try file.write(UnsafeRawBufferPointer(rebasing: bytes[offset..<min(whole, offset + 8 << 20)]))
    }
    try file.synchronize()
    try FileSystem.remove(path)
  }
}
