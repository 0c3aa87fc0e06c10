import Glibc
import TrainerProtocol

/// A queue for records other than snapshots, which must not be lost: if the ring is full, they are sent at
/// one of the next steps. A step never waits.
final class RecordQueue {
  private let ring: RingWriter
  private var unsent: [(kind: RecordKind, payload: [UInt8])] = []
  private static let largestUnsentCount = 64

  init(_ ring: RingWriter) { self.ring = ring }

  func append(_ kind: RecordKind, _ payload: [UInt8]) {
    if unsent.isEmpty, ring.append(kind, payload) { return }
    // The newest record of names contains all of them. A dropped answer is still in the ring's header.
    if kind == .metricNames { unsent.removeAll { $0.kind == kind } }
    if unsent.count < Self.largestUnsentCount || kind != .staged { unsent.append((kind, payload)) }
  }

  /// Sends as many records as fit now.
  func send() {
    if unsent.isEmpty { return }
    let sent = unsent.prefix { ring.append($0.kind, $0.payload) }.count
    unsent.removeFirst(sent)
  }

  /// Waits up to 2 s for space. Call it only before this process exits, when no step is delayed.
  func flush() {
    for _ in 0..<200 where !unsent.isEmpty {
      send()
      if !unsent.isEmpty { usleep(10_000) }
    }
  }
}
