import Synchronization

/// Adds up the bytes that the threads of one transfer have transferred.
final class ProgressMeter: Sendable {
  private let total: UInt64
  private let report: @Sendable (Transfer.Progress) -> Void
  /// Completed bytes of each piece, by the name of its object.
  private let completed = Mutex<(pieces: [String: UInt64], reported: UInt64)>(([:], 0))

  init(totalBytes: UInt64, _ transfer: Transfer) {
    total = totalBytes
    report = transfer.progress
  }

  /// - Parameter bytes: of this piece so far; less than before when it is repeated.
  func set(_ piece: String, _ bytes: UInt64) {
    completed.withLock { completed in
      completed.pieces[piece] = bytes
      let sum = min(total, completed.pieces.values.reduce(0, &+))
      guard sum > completed.reported else { return }
      completed.reported = sum
      report(.init(completedBytes: sum, totalBytes: total))
    }
  }
}
