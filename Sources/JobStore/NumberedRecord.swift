import LMDB
import Reporting
import TrainerProtocol

/// A record with a sequential number.
protocol NumberedRecord: Decodable, Sendable {
  var number: UInt64 { get set }
}

extension AttemptRecord: NumberedRecord {
  var number: UInt64 {
    get { attempt }
    set { attempt = newValue }
  }
}

extension EventRecord: NumberedRecord {
  var number: UInt64 {
    get { sequence }
    set { sequence = newValue }
  }
}
