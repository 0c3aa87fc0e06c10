extension Sequence where Element == UInt64 {
  /// The sum, or the largest number on overflow, as damaged records must not trap.
  public var saturatingSum: UInt64 {
    reduce(0) { sum, next in
      let (result, overflow) = sum.addingReportingOverflow(next)
      return overflow ? .max : result
    }
  }
}
