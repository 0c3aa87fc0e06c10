import Glibc
import TrainerProtocol

/// Records other than snapshots, which must not be lost: one that a full ring has no room for is sent at one of the
/// next steps. A step never waits.
final class RecordQueue {
  private let ring: RingWriter
  private var unsent: [(kind: RecordKind, payload: [UInt8])] = []
  private static let largestUnsentCount = 64

  init(_ ring: RingWriter) { self.ring = ring }

  func append(_ kind: RecordKind, _ payload: [UInt8]) {
    if unsent.isEmpty, ring.append(kind, payload) { return }
    // Of names only the newest count, which has them all. An answer that has no room here any more is in
    // the ring's header.
    if kind == .metricNames { unsent.removeAll { $0.kind == kind } }
    if unsent.count < Self.largestUnsentCount || kind != .staged { unsent.append((kind, payload)) }
  }

  /// Sends what there is room for now.
  func send() {
    if unsent.isEmpty { return }
    let sent = unsent.prefix { ring.append($0.kind, $0.payload) }.count
    unsent.removeFirst(sent)
  }

  /// Before this process exits: waits up to 2 s for room. No step is held up any more.
  func flush() {
    for _ in 0..<200 where !unsent.isEmpty {
      send()
      if !unsent.isEmpty { usleep(10_000) }
    }
  }
}
