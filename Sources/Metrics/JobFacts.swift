/// What there is to be said of a job at one moment. Times are nanoseconds of CLOCK_REALTIME.
public struct JobFacts: Hashable, Sendable {
  public struct Checkpoint: Hashable, Sendable {
    public var level: String
    public var step: UInt64

    public init(level: String, step: UInt64) {
      self.level = level
      self.step = step
    }
  }

  public struct TrainerMetric: Hashable, Sendable {
    public var name: String
    public var value: Double

    public init(name: String, value: Double) {
      self.name = name
      self.value = value
    }
  }

  public var job: String
  public var jobID: String
  public var version: String
  /// When the facts were gathered.
  public var gatheredAtNs: UInt64
  /// nil: before the first attempt.
  public var attempt: UInt64?
  public var isSupervised = true
  public var trainerIsRunning = false
  /// Of the trainer's process; nil: there is none.
  public var residentBytes: UInt64?
  /// The newest that was recorded.
  public var step: UInt64?
  public var totalSteps: UInt64?
  /// The newest of each level.
  public var checkpoints: [Checkpoint] = []
  public var durableAtNs: UInt64?
  public var stalls = 0
  public var goodput: Double?
  /// Reasons for which something is not as it should be.
  public var degradations = 0
  /// Of the newest step, as the trainer reports them.
  public var trainerMetrics: [TrainerMetric] = []
  public var counters = Counters()
  public var stepDurations: Histogram

  public init(
    job: String, jobID: String, version: String, gatheredAtNs: UInt64, stepDurations: Histogram
  ) {
    self.job = job
    self.jobID = jobID
    self.version = version
    self.gatheredAtNs = gatheredAtNs
    self.stepDurations = stepDurations
  }
}
