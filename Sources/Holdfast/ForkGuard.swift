import Glibc
import Reporting

/// Rejects use after a fork: the child inherits the mappings, and two processes would write to one ring.
enum ForkGuard {
  nonisolated(unsafe) private(set) static var isForked = false
  nonisolated(unsafe) private static var isArmed = false

  static let error = HoldfastError(
    .forked, "this process was forked after the run was attached, and must not use it",
    hint: "call step() and finish() only in the process that called attach()")

  static func arm() {
    guard !isArmed else { return }
    isArmed = true
    pthread_atfork(nil, nil) { ForkGuard.isForked = true }
  }
}
