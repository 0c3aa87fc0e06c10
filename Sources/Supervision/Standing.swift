/// The part of the core's state that is persisted: written to the store whenever it changes and read at the start, so
/// that attempt numbers and the restart budget survive a restart of the supervisor and a reboot.
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

  /// Identical failures in a row, without a step beyond the furthest one.
  public struct FailureTally: Hashable, Sendable, Codable {
    /// From this count on the failures are not chance, and saved steps do not count as progress.
    public static let longest = 10

    public var place: FailurePlace
    public var count: Int
    /// The furthest step that was ever recorded.
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
  /// The step at which the training loop completed, if the program has not finished after it yet.
  public var completedStep: UInt64?
  /// Batches to skip, oldest decision first.
  public var skips: [BatchPosition] = []
  /// Wall time of the newest durable checkpoint, in seconds since 1970.
  public var lastDurableWallSeconds: Double?
  /// Supervised time since then, in seconds. Used if the wall clock jumped.
  public var undurableSeconds: Double = 0
  /// Wall time of the newest checkpoint of each interval, in seconds since 1970, by `CheckpointReason.word`.
  public var intervalsWallSeconds: [String: Double]?
  /// Duration of the newest publication.
  public var publishingSeconds: Double?
  public var gaveUp = false
  /// Resume points that attempts died of while loading them; nil: none.
  public var restoreDeaths: [RestoreDeaths]?
  /// Those that count: a start after the job gave up has its full budget.
  public var countedDeaths: [RestoreDeaths] { gaveUp ? [] : restoreDeaths ?? [] }
  /// Seed of the next jitter.
  public var jitter: UInt64 = 0

  public init() {}

  /// No job makes so many attempts: a larger number is damage.
  public static let largestAttempt: UInt64 = 1 << 62

  /// Removes impossible numbers after reading: arithmetic on them would trap at every start. Removed values count as
  /// unknown.
  public var plausible: Standing {
    var standing = self
    if attempt > Self.largestAttempt { standing.attempt = 0 }
    standing.stalls = min(max(0, stalls), Self.largestCount)
    standing.deathTally?.count = min(max(0, deathTally?.count ?? 0), Self.largestCount)
    standing.failureTally?.count = min(max(0, failureTally?.count ?? 0), Self.largestCount)
    standing.lastDurableWallSeconds = lastDurableWallSeconds.flatMap(Self.plausible)
    standing.undurableSeconds = Self.plausible(undurableSeconds) ?? 0
    standing.intervalsWallSeconds = intervalsWallSeconds?.compactMapValues(Self.plausible)
    standing.publishingSeconds = publishingSeconds.flatMap(Self.plausible)
    return standing
  }

  private static let largestCount = 1 << 30

  /// In seconds, limited so that no clock value and no sum of such values overflows.
  private static func plausible(_ seconds: Double) -> Double? {
    seconds >= 0 && seconds <= 1e12 ? seconds : nil
  }
}
