public import Reporting

/// Payload of the `attached` record.
public struct Attached: Hashable, Sendable, Codable {
  public var pid: Int32
  public var library: String
  public var totalSteps: UInt64?
  public var totalEpochs: UInt64?
  public var batchesPerEpoch: UInt64?
  public var hyperparameters: Hyperparameters
  /// The program that runs the trainer, where it can run the client's tools: the interpreter of Python.
  public var interpreter: String?
  /// At this signal the trainer writes where each of its threads is into `StacksFile`. As it was
  /// said, and not to be sent unless `StacksOffer` finds it sane.
  public var stacksSignal: Int64?

  public init(
    pid: Int32, library: String, totalSteps: UInt64? = nil, totalEpochs: UInt64? = nil,
    batchesPerEpoch: UInt64? = nil, hyperparameters: Hyperparameters = [:], interpreter: String? = nil,
    stacksSignal: Int64? = nil
  ) {
    self.pid = pid
    self.library = library
    self.totalSteps = totalSteps
    self.totalEpochs = totalEpochs
    self.batchesPerEpoch = batchesPerEpoch
    self.hyperparameters = hyperparameters
    self.interpreter = interpreter
    self.stacksSignal = stacksSignal
  }
}

extension Attached: ExactJSON {
  public var exactMembers: [String: JSONValue] {
    get { ["hyperparameters": .object(hyperparameters)] }
    set { hyperparameters = newValue["hyperparameters"]?.object ?? hyperparameters }
  }
}
