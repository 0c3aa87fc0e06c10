import Vocabulary

/// A resume point that an attempt could start from, and what is known about its condition.
public struct ResumeCandidate: Hashable, Sendable {
  public enum Condition: Hashable, Sendable {
    /// All bytes are as written, or there is nothing to compare them with.
    case whole
    /// Its structure is valid; it was not read in full.
    case unread
    case damaged
  }

  public var point: ResumePoint
  public var condition: Condition

  public init(_ point: ResumePoint, _ condition: Condition) {
    self.point = point
    self.condition = condition
  }
}

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

/// Chooses what an attempt starts from.
public enum ResumeChoice {
  /// Deaths while loading a resume point after which an older one is preferred.
  public static let deathLimit = 2

  /// The furthest one that is not damaged; at the same step, the level that loads fastest. One that attempts died
  /// of is used only if there is no other: a program that cannot load its state must not silently start over.
  /// - Returns: the index in `candidates`; nil: the beginning.
  public static func best(of candidates: [ResumeCandidate], deaths: [RestoreDeaths]) -> Int? {
    candidates.indices.filter { candidates[$0].condition != .damaged }.max { left, right in
      rank(candidates[left].point, deaths) < rank(candidates[right].point, deaths)
    }
  }

  /// Whether attempts died of it often enough for another one to be preferred.
  public static func isSkipped(_ point: ResumePoint, _ deaths: [RestoreDeaths]) -> Bool {
    deaths.contains { $0.point == point && $0.count >= deathLimit }
  }

  private static func rank(_ point: ResumePoint, _ deaths: [RestoreDeaths]) -> (Int, UInt64, Int) {
    (isSkipped(point, deaths) ? 0 : 1, point.step, point.nearness)
  }

  /// Counts a death while `point` was loaded.
  /// - Returns: the number of such deaths in a row.
  static func count(_ point: ResumePoint, in deaths: inout [RestoreDeaths]) -> Int {
    guard case .checkpoint(let level, let step) = point else { return 0 }
    if let index = deaths.firstIndex(where: { $0.point == point }) {
      deaths[index].count += 1
      return deaths[index].count
    }
    deaths.append(RestoreDeaths(level: level, step: step, count: 1))
    return 1
  }
}

extension RestoreDeaths {
  var point: ResumePoint { .checkpoint(level: level, step: step) }
}

extension ResumePoint {
  /// Ranks points of the same step: the one that loads fastest has the highest value.
  fileprivate var nearness: Int {
    switch self {
    case .beginning: 0
    case .checkpoint(.snapshot, _): 1
    case .checkpoint(.durable, _): 2
    case .checkpoint(.staged, _): 3
    }
  }
}
