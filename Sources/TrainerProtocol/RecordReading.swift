import CTrainerProtocol
import Glibc

/// Reads the records other than snapshots, as far as they are valid. An invalid record is never treated as missing.
public enum RecordReading {
  public static func attached(_ payload: UnsafeRawBufferPointer) -> (Attached, [RecordProblem]) {
    var fields = RecordFields(.attached, payload)
    var attached = Attached(pid: 0, library: "")
    // Pids are at most 2²². 0 means unknown; nothing is sent to it.
    attached.pid = Int32(fields.integer("pid", in: 1...1 << 22, isRequired: true) ?? 0)
    attached.library = fields.text("library", isRequired: true) ?? ""
    attached.totalSteps = fields.count("total_steps")
    attached.totalEpochs = fields.count("total_epochs")
    attached.batchesPerEpoch = fields.count("batches_per_epoch")
    attached.hyperparameters = fields.object("hyperparameters")
    attached.interpreter = fields.text("interpreter")
    attached.stacksSignal = fields.integer("stacks_signal", in: 1...64)
    return (attached, fields.problems)
  }

  public static func failure(_ payload: UnsafeRawBufferPointer) -> (Failure, [RecordProblem]) {
    var fields = RecordFields(.failure, payload)
    let type = fields.text("type", isRequired: true) ?? "failure of an unknown type"
    let message = fields.text("message", isRequired: true) ?? ""
    return (Failure(type: type, message: message, traceback: fields.text("traceback")), fields.problems)
  }

  /// - Returns: nil if the step or all values are unreadable.
  public static func metrics(_ payload: UnsafeRawBufferPointer) -> (StepMetrics?, [RecordProblem]) {
    var fields = RecordFields(.metrics, payload)
    let step = fields.count("step", isRequired: true)
    let values = fields.numbers("values")
    return (step.flatMap { values.isEmpty ? nil : StepMetrics(step: $0, values: values) }, fields.problems)
  }

  /// - Returns: nil if it is not an array; the previous names stay valid then.
  public static func metricNames(_ payload: UnsafeRawBufferPointer) -> ([String]?, [RecordProblem]) {
    guard case .array(let values)? = RecordFields.value(payload) else {
      return (nil, [RecordProblem(.metricNames, nil, "is not a JSON array")])
    }
    var problems: [RecordProblem] = []
    let names = values.enumerated().map { index, value in
      if case .string(let name) = value { return name }
      problems.append(RecordProblem(.metricNames, "[\(index)]", "is not text"))
      return "#\(index + 1)"
    }
    return (names, problems)
  }

  /// Reads the answer to a request, or the report of the end. An answer of which only the request is readable counts
  /// as a failed save; an end without a readable state is still an end.
  /// - Returns: nil if not even the request is readable.
  public static func staged(
    _ kind: RecordKind, _ payload: UnsafeRawBufferPointer, arenaSlots: UInt32
  ) -> (Staged?, [RecordProblem]) {
    // A longer one comes from a later version.
    if payload.count >= Staged.requiredBytes {
      let known = UnsafeRawBufferPointer(rebasing: payload.prefix(Staged.encodedBytes))
      guard var staged = Staged(decoding: known) else {
        var staged = Staged(requestSequence: 0, step: 0, cutID: CutID(), slot: nil, outcome: .failed)
        staged.requestSequence = known.u64(HF_STAGED_REQUEST_SEQUENCE)
        staged.step = known.u64(HF_STAGED_STEP)
        staged.error = EPROTO
        let outcome = known.u32(HF_STAGED_OUTCOME)
        return (staged, [RecordProblem(kind, "outcome", "has the unknown value \(outcome)")])
      }
      guard let slot = staged.slot, slot >= arenaSlots, staged.outcome == .staged else { return (staged, []) }
      staged.slot = nil
      if kind == .staged { (staged.outcome, staged.error) = (.failed, EPROTO) }
      return (staged, [RecordProblem(kind, "slot", "is \(slot), but there are only \(arenaSlots) slots")])
    }
    let problem = RecordProblem(
      kind, nil, "has \(payload.count) bytes, not \(Staged.requiredBytes)")
    guard payload.count >= 16 else { return (nil, [problem]) }
    var staged = Staged(
      requestSequence: payload.u64(HF_STAGED_REQUEST_SEQUENCE), step: payload.u64(HF_STAGED_STEP),
      cutID: CutID(), slot: nil, outcome: .failed)
    staged.error = EPROTO
    return (staged, [problem])
  }
}
