public import Reporting

/// Why metrics cannot be provided where the user wants them.
public typealias MetricsError = CodedError<MetricsErrorCode>

public enum MetricsErrorCode: ErrorCode {
  /// What the user wrote is not an address to listen on.
  case badAddress
  case cannotListen
  case cannotWrite
}
