/// Numbers of bytes with units: `500kB`, `20MiB`, `1G`.
enum ByteRate {
  private static let units: [(name: String, bytes: Double)] = [
    ("KiB", 1024), ("MiB", 1024 * 1024), ("GiB", 1024 * 1024 * 1024), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9),
    ("K", 1024), ("M", 1024 * 1024), ("G", 1024 * 1024 * 1024), ("B", 1),
  ]

  /// - Returns: nil if `text` is not such a number above 0.
  static func parse(_ text: String) -> UInt64? {
    var text = text
    if text.hasSuffix("/s") { text.removeLast(2) }
    for unit in units where text.hasSuffix(unit.name) {
      let number = text.dropLast(unit.name.count)
      guard let value = Double(number.last == " " ? number.dropLast() : number), value > 0, value < 1e9 else {
        return nil
      }
      return UInt64(max(1, value * unit.bytes))
    }
    return nil
  }

  static func text(_ bytes: UInt64) -> String {
    for unit in units.prefix(3).reversed()
    where bytes >= UInt64(unit.bytes) && bytes % UInt64(unit.bytes) == 0 {
      return "\(bytes / UInt64(unit.bytes))\(unit.name)"
    }
    return "\(bytes)B"
  }
}
