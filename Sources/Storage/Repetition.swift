import Glibc
import Reporting
import SystemPackage

/// Repeats the transfer of a piece after a short interruption of the network.
enum Repetition {
  /// Before the second and third attempts. A storage that is down for longer fails, and the caller tries again later.
  private static let pausesSeconds: [UInt32] = [1, 2]

  static func run<Result>(
    _ isCancelled: () -> Bool, _ body: () throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    for pause in pausesSeconds {
      do throws(StorageError) {
        return try body()
      } catch {
        // A silence was long enough already.
        guard error.code == .unreachable, error.errno != .timedOut else { throw error }
      }
      for _ in 0..<pause * 10 {
        if isCancelled() { throw .cancelled }
        usleep(100_000)
      }
    }
    return try body()
  }
}
