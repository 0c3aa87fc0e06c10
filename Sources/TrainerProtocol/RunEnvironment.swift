/// How a trainer finds its run directory.
public enum RunEnvironment {
  public static let runDirectory = "HOLDFAST_RUN_DIR"
  /// The job's id, by which what a trainer left behind is known.
  public static let jobID = "HOLDFAST_JOB_ID"
  public static let attempt = "HOLDFAST_ATTEMPT"
  public static let stateDirectory = "HOLDFAST_STATE_DIR"
  /// Which one that is: a copy at another place has the same job id, and a new job at the same place the
  /// same path.
  public static let stateID = "HOLDFAST_STATE_ID"

  public static let all = [runDirectory, jobID, attempt, stateDirectory, stateID]
}
