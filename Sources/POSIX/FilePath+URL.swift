public import SystemPackage

extension FilePath {
  /// Whether it was meant as a URL such as `s3://bucket/x`, which `FilePath` normalizes to `s3:/bucket/x`. As a
  /// path, it would name a directory `s3:` in the working directory.
  public var isURL: Bool {
    guard !isAbsolute, components.count > 1, let first = components.first?.string.utf8,
      first.last == UInt8(ascii: ":")
    else { return false }
    func isLetter(_ byte: UInt8) -> Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 }
    let scheme = first.dropLast()
    return scheme.count > 1 && isLetter(scheme[scheme.startIndex])
      && scheme.allSatisfy {
        isLetter($0) || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "+-.".utf8.contains($0)
      }
  }
}
