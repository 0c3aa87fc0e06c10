import POSIX
import Reporting

extension JobStore {
  /// Changes the store once and waits for the commit. There must be no `StoreWriter` of it.
  /// - Throws: `StoreError.io`: it is not known to be durable. `POSIXError`: no thread could be started.
  public func change(_ operations: [StoreOperation]) throws {
    let writer = try StoreWriter(self, lookInterval: .seconds(1), report: { _ in })
    defer { writer.stop() }
    guard writer.submitAndWait(operations) else {
      throw StoreError(
        .io, "the store could not be written", path: directory, hint: "check the disk: df \(directory)")
    }
  }
}
