extension FixedWidthInteger where Self: UnsignedInteger {
  /// Lower-case, with leading zeros: 16 digits for a UInt64.
  public var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
  }
}
