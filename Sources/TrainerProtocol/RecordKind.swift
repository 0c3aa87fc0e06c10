import Glibc
import POSIX
import Reporting

/// Kinds of records.
public enum RecordKind: UInt16, Hashable, Sendable {
  case padding = 0
  case attached = 1
  case snapshot = 2
  case staged = 3
  case failure = 4
  case finished = 5
  case metricNames = 6
  case metrics = 7
}
