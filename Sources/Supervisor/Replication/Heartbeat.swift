/// The object by which a machine that runs a job is noticed by others. It changes as long as the machine runs the job;
/// a reader judges that by its own clock.
struct Heartbeat: Hashable, Sendable, Codable {
  /// Random, of one run of a supervisor.
  var mark: String
  /// Increases with each write.
  var sequence: UInt64
  /// The job that the remote belongs to.
  var jobID: String
  var host: String
  var pid: Int32
  /// Between two writes.
  var intervalSeconds: Double
  /// The supervisor has exited.
  var isOver: Bool

  enum CodingKeys: String, CodingKey {
    case mark, sequence, host, pid, intervalSeconds, isOver
    case jobID = "jobId"
  }

  /// How long it must stand still for another machine to take over.
  var patience: Duration { .seconds(min(max(1, intervalSeconds), 3600) * 3.5) }
}
