import Checkpoints
import Glibc
import POSIX
import Reporting
import SystemPackage
import TrainerProtocol

// Answering the supervisor.
extension Run {
  /// The whole state as an image, ready to be written.
  func makeImage() -> ImageWriter {
    var saved: [ImageLoop.Part] = []
    for (name, source) in randoms {
      saved.append(.init(kind: "rng", name: name, bytes: bytes(source.words, RandomSource.wordCount)))
    }
    for (name, sampler) in samplers {
      saved.append(.init(kind: "sampler", name: name, bytes: bytes(sampler.words, Sampler.wordCount)))
    }
    let loop = ImageLoop(step: step, epoch: epoch, batch: batch, samples: samples, parts: saved)
    return ImageWriter(components.map { ($0.name, $0.object.state) }, loop: loop)
  }

  private func bytes(_ words: UnsafeMutablePointer<UInt64>, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: words, count: count * 8))
  }

  func answer(_ request: Request) {
    guard let ring else { return }
    switch request.kind {
    case .none: break
    case .cancel: ring.acknowledge(request, .cancelled)
    case .save, .saveAndLeave:
      // A little ahead, so that all ranks save the same step: not yet, or too late.
      if request.targetStep > step { return }
      let isLate =
        request.targetStep != 0 && request.targetStep < step
        || request.deadlineNanoseconds != 0 && request.deadlineNanoseconds < Clock.monotonicNanoseconds
      let answer = isLate ? missed(request) : stage(request)
      append(.staged, encode(answer))
      ring.acknowledge(request, answer.outcome)
      if request.kind == .saveAndLeave, answer.outcome == .staged {
        flush()
        onLeave()
      }
    }
  }

  /// Puts the state before the first step where the next attempt finds it: whatever was drawn to make it need
  /// not be drawn again, and an attempt that dies early is no other run.
  func stageInitially() {
    guard let ring, let slot = ring.initialSlot, step == 0 else { return }
    append(.staged, encode(stage(slot: slot, cut: CutID())))
  }

  private func missed(_ request: Request) -> Staged {
    Staged(
      requestSequence: request.sequence, step: step, cutID: request.cutID, slot: request.slot,
      outcome: .missed)
  }

  private func stage(_ request: Request) -> Staged {
    var answer = stage(slot: request.slot, cut: request.cutID)
    answer.requestSequence = request.sequence
    return answer
  }

  /// Copies the state into a slot. What the trainer waits for this is in the answer.
  private func stage(slot: UInt32, cut: CutID) -> Staged {
    let began = Clock.monotonicNanoseconds
    var answer = Staged(requestSequence: 0, step: step, cutID: cut, slot: slot, outcome: .staged)
    do {
      try fill(slot, cut, &answer)
    } catch {
      answer.outcome = .failed
      answer.error = error.errno?.rawValue ?? EIO
    }
    answer.stallNanoseconds = Clock.monotonicNanoseconds - began
    return answer
  }

  private func fill(_ slot: UInt32, _ cut: CutID, _ answer: inout Staged) throws(ProtocolError) {
    guard let ring, let runDirectory, slot < ring.identity.arenaSlots else {
      throw ProtocolError(.damaged, "there is no slot \(slot)", path: runDirectory)
    }
    let identity = ring.identity
    let arena =
      slots[slot] ?? ArenaSlot(directory: runDirectory, localRank: identity.place.localRank, slot: slot)
    slots[slot] = arena
    let image = makeImage()
    answer.imageBytes = UInt64(image.imageBytes)
    try arena.stage(
      ImageDescription(
        jobID: identity.jobID, cutID: cut, attempt: identity.attempt, generation: identity.generation,
        globalRank: identity.place.globalRank, worldSize: identity.place.worldSize, step: step),
      imageBytes: image.imageBytes
    ) { image.write(into: $0) }
  }

  private func encode(_ staged: Staged) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Staged.encodedBytes) { buffer, count in
      staged.encode(into: UnsafeMutableRawBufferPointer(buffer))
      count = Staged.encodedBytes
    }
  }

  // MARK: The end

  /// Says that the run is complete. The final state is staged and becomes the last checkpoint; exit
  /// with status 0 afterwards. Without this an exit is not success, whatever its status.
  public func finish() throws(HoldfastError) {
    guard let ring else { return }
    if ForkGuard.isForked { throw ForkGuard.error }
    // The supervisor offers a slot unless both are in use for a moment.
    var slot = ring.spareSlot
    for _ in 0..<3000 where slot == nil {
      if let request = ring.pendingRequest() { answer(request) }
      usleep(10_000)
      ring.beat()
      slot = ring.spareSlot
    }
    var answer = Staged(requestSequence: 0, step: step, cutID: CutID(), slot: nil, outcome: .none)
    if let slot {
      let staged = stage(slot: slot, cut: answer.cutID)
      if staged.outcome == .staged { answer = staged }
    }
    append(.finished, encode(answer))
    flush()
  }

  /// Tells the supervisor why this process is about to fail; shown in the job's history.
  public func fail(_ error: any Error) {
    append(.failure, JSON.encode(Failure(type: "\(type(of: error))", message: "\(error)")))
    flush()
  }
}
