public import Reporting

extension CodedError {
  /// - Parameter what: what could not be done because of `error`.
  public init(_ code: Code, _ what: String, _ error: POSIXError, hint: Hint? = nil) {
    self.init(
      code, what, path: error.path, why: "\(error.operation): \(error.reason)",
      errno: error.isMisplaced ? nil : error.errno, hint: hint)
  }
}
