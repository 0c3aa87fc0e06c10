import CTrainerProtocol
import POSIX
public import SystemPackage

/// How far a ring was written and read, from its header, for readers other than the supervisor. Untrusted.
public struct RingPositions: Hashable, Sendable {
  /// Position after the trainer's last record.
  public let written: UInt64
  /// Position up to which the supervisor has stored the records.
  public let consumed: UInt64

  public var hasUnread: Bool { written != consumed }

  /// - Returns: nil without a ring that can be read.
  public init?(runDirectory: FilePath, localRank: UInt32 = 0) {
    let path = runDirectory.appending(RingMapping.name(localRank: localRank))
    let size = Int(HF_HEADER_BYTES)
    guard let file = try? OpenFile(path, .readOnly), let header = try? file.read(atMost: size),
      header.count == size
    else { return nil }
    func word(_ offset: CInt) -> UInt64 {
      header.withUnsafeBytes {
        UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: Int(offset), as: UInt64.self))
      }
    }
    written = word(HF_RING_WRITTEN)
    consumed = word(HF_RING_CONSUMED)
  }
}
