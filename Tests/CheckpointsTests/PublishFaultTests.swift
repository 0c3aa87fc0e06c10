#if DEBUG
import Checkpoints
import POSIX
import Reporting
import Synchronization
import SystemPackage
import Testing

/// Every system call of publishing and removing fails in turn: listed checkpoints are always intact.
struct PublishFaultTests {
  /// Records all calls below a directory and fails those whose number `isFailing` selects.
  private final class Saboteur: Sendable {
    struct Call: Sendable, CustomStringConvertible {
      var operation: String
      var file: String
      var description: String { "\(operation) \(file)" }
    }

    let calls = Mutex<[Call]>([])
    let errno: Errno
    let root: String
    let isFailing: @Sendable (Int, Call) -> Bool

    init(_ place: Place, _ errno: Errno, _ isFailing: @escaping @Sendable (Int, Call) -> Bool) {
      self.errno = errno
      root = place.root.string
      self.isFailing = isFailing
    }

    func next(_ operation: String, _ path: FilePath?) -> Errno? {
      guard let path, path.string.hasPrefix(root) else { return nil }
      return calls.withLock { calls in
        calls.append(Call(operation: operation, file: path.lastComponent?.string ?? ""))
        return isFailing(calls.count, calls[calls.count - 1]) ? errno : nil
      }
    }

    func sabotage<Result>(_ body: () throws -> Result) rethrows -> Result {
      try Faults.with({ self.next($0, $1) }, body)
    }

    var count: Int { calls.withLock { $0.count } }
    func call(_ number: Int) -> String { calls.withLock { "\($0[min(number, $0.count) - 1])" } }
  }

  private func expectWhole(_ place: Place, _ what: String) throws {
    for name in try place.checkpoints.names() {
      #expect(place.checkpoints.verify(name, thorough: true).manifest != nil, "\(what): \(name) is listed")
    }
  }

  private static let floats = 3000

  /// - Parameter dies: whether all further calls fail, too, as on a removed disk.
  @Test(arguments: [(Errno.ioError, false), (.ioError, true), (.noSpace, false)])
  func listedCheckpointsAreIntactIfPublishingFails(errno: Errno, dies: Bool) throws {
    var number = 1
    while true {
      let failing = number
      let place = try Place()
      try place.publish(step: 1)
      let saboteur = Saboteur(place, errno) { count, _ in dies ? count >= failing : count == failing }
      var failure: CheckpointError?
      do {
        try saboteur.sabotage { _ = try place.publish(step: 2, floats: Self.floats) }
      } catch let error as CheckpointError {
        failure = error
      }
      if saboteur.count < failing { break }
      let what = "\(errno) in call \(failing), \(saboteur.call(failing))"
      try expectWhole(place, what)
      let names = try place.checkpoints.names()
      if let failure {
        #expect(failure.code == (errno == .noSpace ? .noRoom : .io), "\(what): \(failure)")
        // It cannot be unlisted if all further calls fail.
        if !dies { #expect(names == ["step-1"], "\(what)") }
        #expect(failure.errno == errno, "\(what)")
      } else {
        #expect(names == ["step-1", "step-2"], "\(what)")
      }
      // Leftovers do not prevent the next try.
      try place.checkpoints.removeLeftovers()
      try place.publish(step: 2, floats: Self.floats)
      try expectWhole(place, "afterwards, \(what)")
      #expect(try place.entries() == ["step-1", "step-2"], "\(what)")
      number += 1
    }
    #expect(number > 15, "only \(number) calls were seen")
  }

  @Test(arguments: [false, true]) func listedCheckpointsAreIntactIfRemovingFails(dies: Bool) throws {
    var number = 1
    while true {
      let failing = number
      let place = try Place()
      for step in UInt64(1)...2 { try place.publish(step: step) }
      let saboteur = Saboteur(place, .ioError) { count, _ in dies ? count >= failing : count == failing }
      let error = saboteur.sabotage {
        do throws(CheckpointError) {
          try place.checkpoints.remove("step-1")
          return CheckpointError?.none
        } catch {
          return error
        }
      }
      if saboteur.count < failing { break }
      let what = "call \(failing), \(saboteur.call(failing))"
      #expect(error?.code == .io, "\(what)")
      try expectWhole(place, what)
      #expect(try place.checkpoints.names().contains("step-2"), "\(what)")
      try place.checkpoints.removeLeftovers()
      try expectWhole(place, "afterwards, \(what)")
      number += 1
    }
    #expect(number > 6, "only \(number) calls were seen")
  }

  /// Its pages may be marked clean after the first failure, so that a second fsync would succeed wrongly.
  @Test func failedSyncIsNotRetried() throws {
    for file in [LocalCheckpoints.stateName, LocalCheckpoints.manifestName, LocalCheckpoints.digestsName] {
      let place = try Place()
      let saboteur = Saboteur(place, .ioError) { _, call in call.operation == "fsync" && call.file == file }
      saboteur.sabotage {
        let error = #expect(throws: CheckpointError.self) { try place.publish(step: 1) }
        #expect(error?.code == .io)
      }
      let synchronized = saboteur.calls.withLock { $0.filter { $0.operation == "fsync" && $0.file == file } }
      #expect(synchronized.count == 1)
      #expect(try place.entries() == [])
    }
  }

  /// Files are synced before their directory, which is synced before the rename, and the parent is synced
  /// last.
  @Test func syncOrderIsFilesDirectoryNameParent() throws {
    let place = try Place()
    let saboteur = Saboteur(place, .ioError) { _, _ in false }
    try saboteur.sabotage { _ = try place.publish(step: 1, cut: "cut") }
    let order = saboteur.calls.withLock { calls in
      calls.filter { ["fsync", "rename"].contains($0.operation) }.map(\.description)
    }
    #expect(
      order.drop { $0 != "fsync state.safetensors" }.elementsEqual([
        "fsync state.safetensors", "fsync manifest.json", "fsync XXH128SUMS", "fsync .publishing-cut",
        "rename step-1", "fsync checkpoints",
      ]), "\(order)")
  }

  /// A filesystem without direct I/O that fails at opening or at the first write.
  @Test(arguments: [1, 2]) func publishesWithoutDirectWrites(occasion: Int) throws {
    let place = try Place()
    let seen = Atomic(0)
    let saboteur = Saboteur(place, .invalidArgument) { _, call in
      let operation = occasion == 1 ? "open" : "write"
      guard call.operation == operation, call.file == LocalCheckpoints.stateName else { return false }
      // The first call opens the file without direct I/O.
      return seen.add(1, ordering: .relaxed).newValue == (occasion == 1 ? 2 : 1)
    }
    try saboteur.sabotage { _ = try place.publish(step: 1, floats: Self.floats) }
    #expect(seen.load(ordering: .relaxed) >= 2)
    #expect(place.checkpoints.verify("step-1", thorough: true).manifest != nil)
  }

  @Test(arguments: ["posix_fallocate", "write"]) func fullDiskIsReported(operation: String) throws {
    let place = try Place()
    let saboteur = Saboteur(place, .noSpace) { _, call in call.operation == operation }
    let bytes = image(step: 1).count
    saboteur.sabotage {
      let error = #expect(throws: CheckpointError.self) { try place.publish(step: 1) }
      #expect(error?.code == .noRoom)
      #expect(error?.what.hasPrefix("no space for a checkpoint: it needs \(bytes) bytes, ") == true)
      #expect(error?.hint != nil)
    }
    #expect(try place.entries() == [])
  }

  @Test func badSectorIsReportedAsDamage() throws {
    let place = try Place()
    try place.publish(step: 1)
    for name in [LocalCheckpoints.stateName, LocalCheckpoints.manifestName] {
      let saboteur = Saboteur(place, .ioError) { _, call in call.operation == "read" && call.file == name }
      let verdict = saboteur.sabotage { place.checkpoints.verify("step-1", thorough: true) }
      #expect(verdict == .damaged(file: name, what: "cannot be read: \(Errno.ioError)"))
    }
  }
}
#endif
