import Vocabulary

/// What an attempt could start from, as far as it was looked at.
public struct ResumeCandidate: Hashable, Sendable {
  public enum Condition: Hashable, Sendable {
    /// Every byte is what was written, or there is nothing to compare them with.
    case whole
    /// It looks right; it was not read in full.
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

/// Deaths in a row of attempts that were taking this resume point.
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
  /// After so many deaths while it was taken a resume point is passed over.
  public static let patience = 2

  /// The furthest that is not damaged. Of one step the level that is nearest; and what attempts died of
  /// only where there is nothing else: a program that cannot load its state must not begin anew, as if
  /// nothing had been.
  /// - Returns: the index in `candidates`; nil: the beginning.
  public static func best(of candidates: [ResumeCandidate], deaths: [RestoreDeaths]) -> Int? {
    candidates.indices.filter { candidates[$0].condition != .damaged }.max { left, right in
      rank(candidates[left].point, deaths) < rank(candidates[right].point, deaths)
    }
  }

  /// Whether attempts died of it often enough for it to be passed over.
  public static func isPassedOver(_ point: ResumePoint, _ deaths: [RestoreDeaths]) -> Bool {
    deaths.contains { $0.point == point && $0.count >= patience }
  }

  private static func rank(_ point: ResumePoint, _ deaths: [RestoreDeaths]) -> (Int, UInt64, Int) {
    (isPassedOver(point, deaths) ? 0 : 1, point.step, point.nearness)
  }

  /// Counts a death while `point` was taken.
  /// - Returns: how many there were in a row.
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
  /// Of points of one step the one is taken that costs least to take.
  fileprivate var nearness: Int {
    switch self {
    case .beginning: 0
    case .checkpoint(.snapshot, _): 1
    case .checkpoint(.durable, _): 2
    case .checkpoint(.staged, _): 3
    }
  }
}
