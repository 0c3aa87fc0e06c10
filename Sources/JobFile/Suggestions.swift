/// Suggestions for a mistyped word.
public enum Suggestions {
  /// - Returns: nil when nothing is close enough.
  public static func nearest(to word: String, among known: [String]) -> String? {
    let ranked = known.map { ($0, distance(word, $0)) }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }
    guard let (best, distance) = ranked.first, distance <= max(1, word.count / 3) else { return nil }
    return best
  }

  /// Edit distance, with transpositions of adjacent characters (optimal string alignment).
  public static func distance(_ a: String, _ b: String) -> Int {
    let a = Array(a)
    let b = Array(b)
    var rows = [Array(0...b.count)]
    for i in 1..<(a.count + 1) where !a.isEmpty {
      var row = [i]
      for j in 1..<(b.count + 1) where !b.isEmpty {
        var best = min(
          rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
          best = min(best, rows[i - 2][j - 2] + 1)
        }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
