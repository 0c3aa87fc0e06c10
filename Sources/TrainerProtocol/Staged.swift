import CTrainerProtocol
import Vocabulary

/// The trainer's answer to a request, or its report of the final state when it finishes.
public struct Staged: Hashable, Sendable {
  public enum Outcome: UInt32, Hashable, Sendable {
    case none = 0
    case staged = 1
    case missed = 2
    case failed = 3
    case cancelled = 4
  }

  /// 0: without a request, by `finish()`.
  public var requestSequence: UInt64
  public var step: UInt64
  public var imageBytes: UInt64
  public var cutID: CutID
  /// nil when nothing was staged.
  public var slot: UInt32?
  public var outcome: Outcome
  public var error: Int32
  /// The number of the epoch, from 1, at whose end it was saved; 0: elsewhere.
  public var completedEpochs: UInt32
  /// Time for which the copy blocked the trainer.
  public var stallNanoseconds: UInt64
  /// The part of that time in which the slot was allocated and mapped, which a later copy does not need. 0: none, or
  /// by an older version.
  public var preparationNanoseconds: UInt64

  /// Time that a copy takes if the slot is prepared. The fields come from the trainer.
  public var copyNanoseconds: UInt64 { stallNanoseconds - min(stallNanoseconds, preparationNanoseconds) }

  public init(
    requestSequence: UInt64, step: UInt64, imageBytes: UInt64 = 0, cutID: CutID, slot: UInt32?,
    outcome: Outcome, error: Int32 = 0, completedEpochs: UInt32 = 0, stallNanoseconds: UInt64 = 0,
    preparationNanoseconds: UInt64 = 0
  ) {
    self.requestSequence = requestSequence
    self.step = step
    self.imageBytes = imageBytes
    self.cutID = cutID
    self.slot = slot
    self.outcome = outcome
    self.error = error
    self.completedEpochs = completedEpochs
    self.stallNanoseconds = stallNanoseconds
    self.preparationNanoseconds = preparationNanoseconds
  }

  public static let encodedBytes = Int(HF_STAGED_BYTES)
  /// Size of a record by older versions, which lacks the last field.
  static let requiredBytes = Int(HF_STAGED_REQUIRED_BYTES)

  public func encode(into buffer: UnsafeMutableRawBufferPointer) {
    guard let pointer = buffer.baseAddress, buffer.count >= Self.encodedBytes else { return }
    pointer.put(requestSequence, at: HF_STAGED_REQUEST_SEQUENCE)
    pointer.put(step, at: HF_STAGED_STEP)
    pointer.put(imageBytes, at: HF_STAGED_IMAGE_BYTES)
    cutID.store(at: pointer + Int(HF_STAGED_CUT_ID))
    pointer.put(slot ?? HF_NO_SLOT, at: HF_STAGED_SLOT)
    pointer.put(outcome.rawValue, at: HF_STAGED_OUTCOME)
    pointer.put(UInt32(bitPattern: error), at: HF_STAGED_ERROR)
    pointer.put(completedEpochs, at: HF_STAGED_COMPLETED_EPOCHS)
    pointer.put(stallNanoseconds, at: HF_STAGED_STALL_NS)
    pointer.put(preparationNanoseconds, at: HF_STAGED_PREPARATION_NS)
  }

  /// - Returns: nil when the bytes are invalid.
  public init?(decoding bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.requiredBytes, let base = bytes.baseAddress,
      let outcome = Outcome(rawValue: bytes.u32(HF_STAGED_OUTCOME))
    else { return nil }
    let slot = bytes.u32(HF_STAGED_SLOT)
    self.init(
      requestSequence: bytes.u64(HF_STAGED_REQUEST_SEQUENCE), step: bytes.u64(HF_STAGED_STEP),
      imageBytes: bytes.u64(HF_STAGED_IMAGE_BYTES), cutID: CutID(at: base + Int(HF_STAGED_CUT_ID)),
      slot: slot == HF_NO_SLOT ? nil : slot, outcome: outcome,
      error: Int32(bitPattern: bytes.u32(HF_STAGED_ERROR)),
      completedEpochs: bytes.u32(HF_STAGED_COMPLETED_EPOCHS), stallNanoseconds: bytes.u64(HF_STAGED_STALL_NS),
      preparationNanoseconds: bytes.count >= Self.encodedBytes ? bytes.u64(HF_STAGED_PREPARATION_NS) : 0)
  }
}
