/// What outlives the supervisor: written to the store whenever it changes, read back at the start,
/// so that attempts and budget survive a restart of the supervisor and a reboot.
public struct Standing: Hashable, Sendable, Codable {
  /// Deaths in a row in the same batch.
  public struct DeathTally: Hashable, Sendable, Codable {
    public var batch: BatchPosition
    public var step: UInt64
    public var count: Int

    public init(batch: BatchPosition, step: UInt64, count: Int) {
      self.batch = batch
      self.step = step
      self.count = count
    }
  }

  /// Failures in a row that are the same, without a step that is new to the job.
  public struct FailureTally: Hashable, Sendable, Codable {
    /// From so many on it is no chance, and what the attempts save is no progress.
    public static let longest = 10

    public var place: FailurePlace
    public var count: Int
    /// The greatest step that was ever recorded.
    public var furthest: UInt64

    public init(place: FailurePlace, count: Int, furthest: UInt64) {
      self.place = place
      self.count = count
      self.furthest = furthest
    }
  }

  /// Number of the newest attempt; attempts are never numbered twice.
  public var attempt: UInt64 = 0
  /// Attempts in a row that did not advance the resume point.
  public var stalls = 0
  public var deathTally: DeathTally?
  public var failureTally: FailureTally?
  /// The step at which the training loop is complete, where what comes after it is not done yet.
  public var completedStep: UInt64?
  /// Batches that are left out, in the order they were condemned.
  public var skips: [BatchPosition] = []
  /// Wall time of the newest durable checkpoint, in seconds since 1970.
  public var lastDurableWallSeconds: Double?
  /// Supervised time since then, in seconds: what is left to go by when the wall clock jumped.
  public var undurableSeconds: Double = 0
  /// What the newest publication took.
  public var publishingSeconds: Double?
  public var gaveUp = false
  /// Resume points at which attempts died while they took them; nil: none.
  public var restoreDeaths: [RestoreDeaths]?
  /// Those that count: a person who tries again after the job gave up has all of the budget.
  public var countedDeaths: [RestoreDeaths] { gaveUp ? [] : restoreDeaths ?? [] }
  /// Seed of the next jitter.
  public var jitter: UInt64 = 0

  public init() {}

  /// Attempts are numbered one after the other: no job gets so far, so a larger number is damage.
  public static let largestAttempt: UInt64 = 1 << 62

  /// As read back, without numbers that nobody can have written: arithmetic on them would trap at every
  /// start anew. What is left out is as if it had never been known.
  public var plausible: Standing {
    var standing = self
    if attempt > Self.largestAttempt { standing.attempt = 0 }
    standing.stalls = min(max(0, stalls), Self.largestCount)
    standing.deathTally?.count = min(max(0, deathTally?.count ?? 0), Self.largestCount)
    standing.failureTally?.count = min(max(0, failureTally?.count ?? 0), Self.largestCount)
    standing.lastDurableWallSeconds = lastDurableWallSeconds.flatMap(Self.plausible)
    standing.undurableSeconds = Self.plausible(undurableSeconds) ?? 0
    standing.publishingSeconds = publishingSeconds.flatMap(Self.plausible)
    return standing
  }

  private static let largestCount = 1 << 30

  /// In seconds; up to a time that every clock and every sum of such times can hold.
  private static func plausible(_ seconds: Double) -> Double? {
    seconds >= 0 && seconds <= 1e12 ? seconds : nil
  }
}
