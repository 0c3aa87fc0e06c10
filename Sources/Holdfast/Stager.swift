import Checkpoints
import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage
import TrainerProtocol
import Vocabulary

/// Copies the state into the arena, where it survives this process, and answers the supervisor's requests.
final class Stager {
  private let state: RegisteredState
  private let ring: RingWriter
  private let records: RecordQueue
  private let place: ArenaPlace
  private var slots: [UInt32: ArenaSlot] = [:]
  /// The slot with the newest image of this attempt.
  private var filledSlot: UInt32?
  /// The last request that was answered elsewhere than at the end of an epoch.
  private var answered: (request: Request, answer: Staged)?
  /// Size of images for which the slots were mapped ahead of time.
  private var mappedBytes: UInt64 = 0
  private let mapping = Running()

  /// Whether the thread runs that maps slots.
  private final class Running: Sendable {
    let flag = Atomic(false)
  }

  init(_ state: RegisteredState, _ ring: RingWriter, _ records: RecordQueue, _ place: ArenaPlace) {
    self.state = state
    self.ring = ring
    self.records = records
    self.place = place
  }

  private var step: UInt64 { state.counters.pointee.step }

  /// - Parameter end: the end of an epoch that this moment is; nil: it is another moment.
  func answer(_ request: Request, at end: EpochEnd? = nil, onLeave: () -> Void) {
    switch request.kind {
    case .none: break
    case .cancel: ring.acknowledge(request, .cancelled)
    case .save, .saveAndLeave:
      let isLate =
        request.isMissed(atStep: step)
        || request.deadlineNanoseconds != 0 && request.deadlineNanoseconds < Clock.monotonicNanoseconds
      // After validation the next epoch has begun.
      let epoch = state.counters.pointee.epoch &- (end == .validation ? 1 : 0)
      let endsEpoch = end.map { request.isDue(atEndOf: epoch, $0) } ?? false
      guard isLate || endsEpoch || request.isDue(atStep: step) else { return }
      if request.isPatient, isMapping { return }
      let completedEpochs = endsEpoch ? UInt32(clamping: epoch &+ 1) : 0
      let answer = isLate ? missed(request) : stage(request, completedEpochs)
      answered = answer.outcome == .staged && !endsEpoch ? (request, answer) : nil
      records.append(.staged, encode(answer))
      ring.acknowledge(request, answer.outcome)
      if request.kind == .saveAndLeave, answer.outcome == .staged {
        records.flush()
        onLeave()
      }
    }
  }

  /// Called after validation. If the last request was for the end of this epoch too, and was answered after its last
  /// step, that state is also that of the epoch's end: the answer is repeated with the epoch's number.
  func endEpoch(_ epoch: UInt64) {
    guard let (request, answer) = answered, answer.step == step, request.isDue(atEndOf: epoch, .validation)
    else { return }
    answered = nil
    var repeated = answer
    repeated.completedEpochs = UInt32(clamping: epoch &+ 1)
    (repeated.stallNanoseconds, repeated.preparationNanoseconds) = (0, 0)
    records.append(.staged, encode(repeated))
  }

  /// Stages the state before the first step for the next attempt, so that an attempt that dies early does not
  /// change the run by initializing it with other random numbers.
  func stageInitially() {
    guard let slot = ring.initialSlot, step == 0 else { return }
    records.append(.staged, encode(stage(slot: slot, cut: CutID())))
  }

  // MARK: Slots ahead of time

  /// Maps the slots on another thread when the supervisor has allocated them; called at every step.
  @inline(__always)
  func mapAhead() {
    if ring.preparedBytes != mappedBytes { startMapping() }
  }

  private func startMapping() {
    // A later step does it.
    if isMapping { return }
    mappedBytes = ring.preparedBytes
    guard mappedBytes > 0 else { return }
    let small = (0..<ring.identity.arenaSlots).map(arena).filter {
      !$0.isMapped(imageBytes: Int(clamping: mappedBytes))
    }
    if small.isEmpty { return }
    mapping.flag.store(true, ordering: .relaxed)
    let work: @Sendable () -> Void = { [mapping] in
      for slot in small { slot.mapAhead() }
      mapping.flag.store(false, ordering: .releasing)
    }
    // Without a thread, the first copy maps its slot itself.
    if (try? NativeThread.start(work)) == nil { mapping.flag.store(false, ordering: .relaxed) }
  }

  private func arena(_ slot: UInt32) -> ArenaSlot {
    if let arena = slots[slot] { return arena }
    let arena = ArenaSlot(place, localRank: ring.identity.place.localRank, slot: slot)
    slots[slot] = arena
    return arena
  }

  /// A request for any step waits until the slots are mapped.
  private var isMapping: Bool { mapping.flag.load(ordering: .acquiring) }

  private func missed(_ request: Request) -> Staged {
    Staged(
      requestSequence: request.sequence, step: step, cutID: request.cutID, slot: request.slot,
      outcome: .missed)
  }

  private func stage(_ request: Request, _ completedEpochs: UInt32) -> Staged {
    var answer = stage(slot: request.slot, cut: request.cutID, completedEpochs)
    answer.requestSequence = request.sequence
    return answer
  }

  /// Copies the state into a slot. The answer contains the time that this takes.
  private func stage(slot: UInt32, cut: CutID, _ completedEpochs: UInt32 = 0) -> Staged {
    let began = Clock.monotonicNanoseconds
    var answer = Staged(requestSequence: 0, step: step, cutID: cut, slot: slot, outcome: .staged)
    answer.completedEpochs = completedEpochs
    do {
      try fill(slot, cut, &answer)
    } catch {
      answer.outcome = .failed
      answer.error = error.errno?.rawValue ?? EIO
    }
    if answer.outcome == .staged { filledSlot = slot }
    answer.stallNanoseconds = Clock.monotonicNanoseconds - began
    answer.preparationNanoseconds = slots[slot]?.preparationNanoseconds ?? 0
    return answer
  }

  private func fill(_ slot: UInt32, _ cut: CutID, _ answer: inout Staged) throws(ProtocolError) {
    guard slot < ring.identity.arenaSlots else {
      throw ProtocolError(.damaged, "invalid arena slot \(slot)", path: place.directory)
    }
    let identity = ring.identity
    let arena = arena(slot)
    let image = state.image()
    answer.imageBytes = UInt64(image.imageBytes)
    try arena.stage(
      ImageDescription(
        jobID: identity.jobID, cutID: cut, attempt: identity.attempt, generation: identity.generation,
        globalRank: identity.place.globalRank, worldSize: identity.place.worldSize, step: step,
        completedEpochs: answer.completedEpochs),
      imageBytes: image.imageBytes
    ) { image.write(into: $0) }
  }

  private func encode(_ staged: Staged) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Staged.encodedBytes) { buffer, count in
      staged.encode(into: UnsafeMutableRawBufferPointer(buffer))
      count = Staged.encodedBytes
    }
  }

  /// The offered slot. An offer of the slot that was filled last is an old one: the supervisor has not seen the answer
  /// yet, and that image may be the only one of its step.
  private var spareSlot: UInt32? { ring.spareSlot.flatMap { $0 == filledSlot ? nil : $0 } }

  /// Stages the final state and reports that the loop is complete.
  func finish(onLeave: () -> Void) {
    // The supervisor offers a slot, except for moments when both are in use.
    var slot = spareSlot
    for turn in 0..<3000 where slot == nil {
      if let request = ring.pendingRequest() { answer(request, onLeave: onLeave) }
      usleep(10_000)
      ring.beat()
      // After 5 s it is no old offer: the supervisor could not use the answer.
      slot = turn < 500 ? spareSlot : ring.spareSlot
    }
    var answer = Staged(requestSequence: 0, step: step, cutID: CutID(), slot: nil, outcome: .none)
    if let slot {
      let staged = stage(slot: slot, cut: answer.cutID)
      if staged.outcome == .staged { answer = staged }
    }
    records.append(.finished, encode(answer))
    records.flush()
  }
}
