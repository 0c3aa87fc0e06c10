import Glibc

/// Which files of a trainer that does not use the protocol are its checkpoints.
public struct AdoptionSettings: Hashable, Sendable {
  /// As for glob(3). A relative one is relative to the trainer's working directory.
  public var pattern: String
  /// The file that completes a directory which the pattern matches.
  public var marker: String

  public init(pattern: String, marker: String) {
    self.pattern = pattern
    self.marker = marker
  }

  /// Whether the pattern finds this path. One that is read from a checkpoint may be any text.
  func covers(_ path: String) -> Bool {
    let climbs = { (text: String) in text.split(separator: "/").contains("..") }
    return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0 && (!climbs(path) || climbs(pattern))
  }
}
