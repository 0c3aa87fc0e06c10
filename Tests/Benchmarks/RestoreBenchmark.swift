import CSpawn
import Checkpoints
import Glibc
import POSIX
import Synchronization
import SystemPackage
import TrainerProtocol

/// Restoring a published state that is not in memory, verification included, beside a raw read of the same file.
struct RestoreBenchmark {
  private static let rounds = 7

  let checkpoints: LocalCheckpoints
  let name: String

  func run() throws {
    let path = checkpoints.path(of: name).appending(LocalCheckpoints.stateName)
    let bytes = try OpenFile(path, .readOnly).size()
    // Its pages are there already.
    let target = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
    defer { target.deallocate() }
    memset(target.baseAddress!, 1, bytes)
    var ratios: [Double] = []
    var restoring: [Double] = []
    var reading: [Double] = []
    // In pairs, so that whatever else uses the disk meets both.
    for _ in 0..<Self.rounds {
      let raw = try nanosecondsTaken { try read(path, bytes, into: target) }
      try forget(path)
      let restored = try nanosecondsTaken { try withExtendedLifetime(restore(path, bytes)) {} }
      try forget(path)
      ratios.append(raw / restored)
      restoring.append(restored)
      reading.append(raw)
    }
    let ratio = Sample(ratios).median
    Report.line(
      "restoring it from disk, verified",
      "\(Report.nanoseconds(Sample(restoring).median)), \(Report.ratio(ratio)) of a raw read",
      "≥ 0.85 of a raw read", isMet: ratio >= 0.85)
    Report.peer("raw read (O_DIRECT)", Report.nanoseconds(Sample(reading).median))
  }

  /// As the supervisor verifies it while the trainer, which waits, maps what was read.
  private func restore(_ path: FilePath, _ bytes: Int) throws -> MappedFile {
    let mapping = try MappedFile(OpenFile(path, .readOnly), count: bytes, access: .readOnly)
    let verdict = Verification()
    try NativeThread.start { [checkpoints, name] in
      let isWhole = checkpoints.verify(name, thorough: true).manifest != nil
      verdict.isWhole.withLock { $0 = isWhole }
    }
    var end = 0
    while verdict.isWhole.withLock({ $0 == nil }) || end < bytes {
      end = mapping.populateResident(from: end)
      usleep(1000)
    }
    guard verdict.isWhole.withLock({ $0 == true }) else { throw Damaged() }
    return mapping
  }

  private final class Verification: Sendable {
    let isWhole = Mutex<Bool?>(nil)
  }

  private struct Damaged: Error {}

  private func read(_ path: FilePath, _ bytes: Int, into target: UnsafeMutableRawBufferPointer) throws {
    let descriptor = path.withPlatformString { open($0, O_RDONLY | hf_open_direct | O_CLOEXEC) }
    guard descriptor >= 0 else { throw Damaged() }
    defer { close(descriptor) }
    let chunk = 8 << 20
    for offset in stride(from: 0, to: bytes, by: chunk) {
      let count = min(chunk, (bytes - offset) / 4096 * 4096)
      guard pread(descriptor, target.baseAddress! + offset, count, off_t(offset)) == count else {
        throw Damaged()
      }
    }
  }

  /// Removes the file's pages from memory.
  private func forget(_ path: FilePath) throws {
    let file = try OpenFile(path, .readOnly)
    posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
  }
}
