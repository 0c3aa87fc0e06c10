import Vocabulary

/// Deaths in a row of attempts that were loading this resume point.
public struct RestoreDeaths: Hashable, Sendable, Codable {
  public var level: Level
  public var step: UInt64
  public var count: Int

  public init(level: Level, step: UInt64, count: Int) {
    self.level = level
    self.step = step
    self.count = count
  }
}

extension RestoreDeaths {
  var point: ResumePoint { .checkpoint(level: level, step: step) }
}
