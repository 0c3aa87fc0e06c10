import Reporting
import TrainerProtocol
public import Vocabulary

/// What the supervisor is doing; key `live` in `meta`. Its lock shows whether it is still running.
public struct LiveRecord: Hashable, Sendable, Codable {
  public struct Staged: Hashable, Sendable, Codable {
    public var step: UInt64
    public var bytes: UInt64
    public var atNs: UInt64

    public init(step: UInt64, bytes: UInt64, atNs: UInt64) {
      self.step = step
      self.bytes = bytes
      self.atNs = atNs
    }
  }

  public var pid: Int32
  public var startTime: UInt64
  public var boot: String
  public var runDirectory: String
  public var state: Stored<SupervisorState>
  public var trainerPid: Int32?
  public var attempt: UInt64
  public var graceSeconds: Double
  public var stalls: Int
  public var maxStalls: Int
  public var staged: Staged?
  public var degraded: [String]
  /// The one of `degraded` that is about a trainer without steps.
  public var stall: String?
  /// What the trainer waits for, with progress.
  public var doing: String?
  public var updatedAtNs: UInt64

  public init(
    pid: Int32, startTime: UInt64, boot: String, runDirectory: String, state: Stored<SupervisorState>,
    trainerPid: Int32?,
    attempt: UInt64, graceSeconds: Double, stalls: Int, maxStalls: Int, staged: Staged?,
    degraded: [String], stall: String? = nil, doing: String? = nil, updatedAtNs: UInt64
  ) {
    self.pid = pid
    self.startTime = startTime
    self.boot = boot
    self.runDirectory = runDirectory
    self.state = state
    self.trainerPid = trainerPid
    self.attempt = attempt
    self.graceSeconds = graceSeconds
    self.stalls = stalls
    self.maxStalls = maxStalls
    self.staged = staged
    self.degraded = degraded
    self.stall = stall
    self.doing = doing
    self.updatedAtNs = updatedAtNs
  }
}
