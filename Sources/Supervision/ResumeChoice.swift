import Vocabulary

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

extension ResumePoint {
  /// Ranks points of the same step: the one that loads fastest has the highest value.
  fileprivate var nearness: Int {
    switch self {
    case .beginning: 0
    case .checkpoint(.snapshot, _): 1
    case .checkpoint(.durable, _), .checkpoint(.adopted, _): 2
    case .checkpoint(.staged, _): 3
    }
  }
}
