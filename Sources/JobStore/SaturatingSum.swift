extension Sequence where Element == UInt64 {
  /// The sum, or the largest number there is: what a damaged record says must not end the reader.
  public var saturatingSum: UInt64 {
    reduce(0) { sum, next in
      let (result, overflow) = sum.addingReportingOverflow(next)
      return overflow ? .max : result
    }
  }
}
