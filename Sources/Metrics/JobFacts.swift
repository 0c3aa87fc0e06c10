/// The state of a job at one moment. Times are nanoseconds of CLOCK_REALTIME.
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
  /// nil before the first attempt.
  public var attempt: UInt64?
  public var isSupervised = true
  public var trainerIsRunning = false
  /// Of the trainer's process, if there is one.
  public var residentBytes: UInt64?
  /// The newest recorded step.
  public var step: UInt64?
  public var totalSteps: UInt64?
  /// When the running attempt made its newest step.
  public var steppedAtNs: UInt64?
  /// The newest checkpoint of each level.
  public var checkpoints: [Checkpoint] = []
  public var durableAtNs: UInt64?
  public var stalls = 0
  public var goodput: Double?
  /// Number of reasons why the job is degraded.
  public var degradations = 0
  /// As reported by the trainer for the newest step.
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
