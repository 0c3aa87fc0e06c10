extension FixedWidthInteger where Self: UnsignedInteger {
  /// All its digits, lowercase: 16 of a UInt64.
  public var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
  }
}
