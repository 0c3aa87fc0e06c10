import Supervision
import Testing

/// Damaged checkpoints, the newest ones and unread ones are never removed.
struct RetentionTests {
  /// `v9` is verified, `u9` unread, `d9` damaged; the number is the step.
  private static func listed(_ text: String) -> [Retention.Listed] {
    text.split(separator: " ").map { word in
      let step = UInt64(word.drop { !$0.isNumber }) ?? 0
      let condition: Retention.Condition =
        switch word.first {
        case "d": .damaged
        case "u": .unread
        default: .verified
        }
      return .init(name: String(word), step: step, condition: condition)
    }
  }

  private static func plan(_ text: String, keepLast: Int) -> Retention.Plan {
    var policy = CheckpointPolicy()
    policy.keepLast = keepLast
    return Retention.plan(listed(text), [policy])
  }

  @Test(arguments: [
    ("", 2, [], []), ("v1", 1, [], []), ("v1 v2", 2, [], []), ("v1 v2 v3", 2, ["v1"], []),
    ("v3 v1 v2", 1, ["v1", "v2"], []), ("v9 v10 v11", 1, ["v9", "v10"], []),
    ("d1 v2 d3 v4 d5", 1, ["v2"], []), ("d1 v2 d3 v4 d5", 2, [], []), ("v1 d2 d3", 1, [], []),
    ("d1 d2 d3", 1, [], []), ("v1 v2", 0, ["v1"], []), ("v1 v2", -5, ["v1"], []), ("v1 v2", .max, [], []),
    ("v1 v2 d3", 1, ["v1"], []), ("u1 v2 v3", 2, [], ["u1"]), ("u1 u2 v3", 2, [], []),
    ("u1 v2 u3 v4", 2, [], ["u1"]), ("v1 u2 v3 v4", 2, ["v1"], ["u2"]), ("u1 u2 u3", 1, [], []),
  ]) func retentionPlan(found: String, keepLast: Int, remove: [String], read: [String]) {
    let plan = Self.plan(found, keepLast: keepLast)
    #expect(plan.remove == remove)
    #expect(plan.read == read)
  }

  @Test func oldestKeptIsTheOldestRetainedCheckpoint() {
    #expect(Self.plan("v1 v2 u3 v4", keepLast: 2).oldestKept == 2)
    #expect(Self.plan("u1 d2", keepLast: 2).oldestKept == nil)
  }

  // MARK: Several policies

  /// `5 loss=0.3 day=2 for=steps=5 weights`: a verified checkpoint of each line.
  private static func checkpoints(_ lines: String...) -> [Retention.Listed] {
    lines.map { line in
      let words = line.split(separator: " ").map(String.init)
      var one = Retention.Listed(name: words[0], step: UInt64(words[0]) ?? 0, condition: .verified)
      for word in words.dropFirst() {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        switch parts[0] {
        case "day": one.day = Int(parts[1]) ?? 0
        case "for": one.reasons.insert(parts[1])
        case "weights": one.weightsOnly = true
        default: one.metrics[parts[0]] = Double(parts[1])
        }
      }
      return one
    }
  }

  private static func policy(_ change: (inout CheckpointPolicy) -> Void) -> CheckpointPolicy {
    var policy = CheckpointPolicy()
    change(&policy)
    return policy
  }

  private static func kept(_ listed: [Retention.Listed], _ policies: CheckpointPolicy...) -> [String] {
    let plan = Retention.plan(listed, policies)
    #expect(Set(plan.remove).isDisjoint(with: plan.kept.keys))
    #expect(Set(plan.remove).union(plan.kept.keys) == Set(listed.map(\.name)))
    return plan.kept.keys.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
  }

  private static let losses = checkpoints(
    "1 loss=0.5", "2 loss=0.2", "3 loss=0.4", "4 loss=0.3", "5 loss=0.9")

  @Test func bestByMinimumAndMaximum() {
    let least = Self.policy { ($0.keepBest, $0.monitor) = (2, "loss") }
    #expect(Self.kept(Self.losses, least) == ["2", "4", "5"])
    let most = Self.policy { ($0.keepBest, $0.monitor, $0.mode) = (1, "loss", .max) }
    #expect(Self.kept(Self.losses, most) == ["5"])
  }

  /// A metric that is missing or NaN ranks last, and costs no checkpoint while there is room.
  @Test func aMissingMetricLosesNoCheckpoint() {
    let listed = Self.checkpoints("1 loss=0.5", "2 loss=nan", "3", "4 loss=0.3", "5 other=1")
    let policy = Self.policy { ($0.keepBest, $0.monitor) = (3, "loss") }
    #expect(Self.kept(listed, policy) == ["1", "4", "5"])
    let mistyped = Self.policy { ($0.keepBest, $0.monitor) = (3, "losss") }
    #expect(Self.kept(listed, mistyped) == ["3", "4", "5"])
  }

  @Test func infinityIsAValue() {
    let listed = Self.checkpoints("1 loss=inf", "2", "3 loss=-inf", "4")
    let policy = Self.policy { ($0.keepBest, $0.monitor) = (2, "loss") }
    #expect(Self.kept(listed, policy) == ["1", "3", "4"])
  }

  @Test func ofEqualValuesTheNewerIsKept() {
    let listed = Self.checkpoints("1 loss=0.5", "2 loss=0.5", "3 loss=0.5", "4 loss=0.6")
    let policy = Self.policy { ($0.keepBest, $0.monitor) = (1, "loss") }
    #expect(Self.kept(listed, policy) == ["3", "4"])
  }

  @Test func multiplesAreKeptForever() {
    let listed = Self.checkpoints("5", "10", "15", "20", "23")
    #expect(Self.kept(listed, Self.policy { $0.keepEverySteps = 10 }) == ["10", "20", "23"])
  }

  @Test func theNewestOfEachDay() {
    let listed = Self.checkpoints("1 day=1", "2 day=1", "3 day=3", "4 day=4", "5 day=4")
    #expect(Self.kept(listed, Self.policy { $0.keepDaily = 2 }) == ["3", "5"])
    #expect(Self.kept(listed, Self.policy { $0.keepDaily = 9 }) == ["2", "3", "5"])
  }

  /// A further policy counts only the checkpoints that it has saved.
  @Test func eachPolicyKeepsItsOwn() {
    let listed = Self.checkpoints(
      "10 for=steps=10", "12 for=interval=600s", "20 for=steps=10", "22 for=interval=600s", "30 for=steps=10",
      "31 for=interval=600s", "32 for=request")
    let own = Self.policy { ($0.interval, $0.keepLast) = (.seconds(600), 1) }
    let steps = Self.policy { ($0.everySteps, $0.keepLast) = (10, 2) }
    #expect(Self.kept(listed, own, steps) == ["20", "30", "32"])
  }

  @Test func aDamagedOneIsNeitherCountedNorRemoved() {
    var listed = Self.losses
    listed[1].condition = .damaged
    let policy = Self.policy { ($0.keepBest, $0.monitor) = (1, "loss") }
    let plan = Retention.plan(listed, [policy])
    #expect(plan.kept.keys.sorted() == ["4", "5"])
    #expect(plan.remove == ["1", "3"])
  }

  // MARK: Weights

  private static let both = checkpoints(
    "1 loss=0.1", "2 loss=0.2", "3 loss=0.3", "4 loss=0.4", "11 loss=0.5 weights", "12 loss=0.2 weights",
    "13 loss=0.3 weights", "14 loss=0.4 weights")

  /// Whatever weights there are, the newest whole states stay.
  @Test func weightsAreCountedApart() {
    let weights = Self.policy { ($0.weightsOnly, $0.keepLast) = (true, 1) }
    #expect(Self.kept(Self.both, weights) == ["3", "4", "14"], "without another policy the newest two stay")
    let best = Self.policy { ($0.weightsOnly, $0.keepBest, $0.monitor) = (true, 1, "loss") }
    #expect(Self.kept(Self.both, best) == ["3", "4", "12"])
    let whole = Self.policy { ($0.keepBest, $0.monitor) = (1, "loss") }
    #expect(Self.kept(Self.both, whole, weights) == ["1", "4"], "none of the weights is the policy's own")
    #expect(Self.kept(Self.both, weights, whole) == ["4", "14"], "nor of the whole ones")
  }

  /// A start without the option must not remove what an earlier one has kept.
  @Test func weightsWithoutAPolicyStay() {
    let whole = Self.policy { $0.keepLast = 1 }
    #expect(Self.kept(Self.both, whole) == ["4", "11", "12", "13", "14"])
    #expect(Retention.plan(Self.both, [whole]).kept["11"] == [.weights])
  }

  @Test func theOldestKeptIsOneToStartFrom() {
    let weights = Self.policy { ($0.weightsOnly, $0.keepEverySteps) = (true, 1) }
    let listed = Self.checkpoints("1 weights", "2 weights", "3", "4")
    #expect(Retention.plan(listed, [weights]).oldestKept == 3)
  }
}
