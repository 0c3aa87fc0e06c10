/// The action `--resume-from`: what a job starts or continues from, instead of its own newest state.
public struct ResumeFrom: Hashable, Sendable {
  /// The name of one of the job's checkpoints, the path of any checkpoint, `none` for the beginning, or a place at a
  /// remote storage: `s3:bucket/jobs/JOB` or `s3:bucket/jobs/JOB/NAME`.
  public var place: String
  /// Load only weights, and begin at step 0.
  public var weightsOnly: Bool
  /// Later steps of the job may be set aside.
  public var isConfirmed: Bool

  public init(place: String, weightsOnly: Bool, isConfirmed: Bool) {
    self.place = place
    self.weightsOnly = weightsOnly
    self.isConfirmed = isConfirmed
  }
}
