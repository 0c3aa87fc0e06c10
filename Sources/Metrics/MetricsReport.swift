import Glibc
import Reporting

/// A change in whether metrics can be served or written.
public enum MetricsReport: Sendable {
  case degraded(MetricsError)
  case recovered(MetricsErrorCode, String)
}
