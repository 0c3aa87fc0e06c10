/// A value that a thread of its own makes, for whoever has something else to do meanwhile.
public final class BackgroundValue<Value: Sendable>: @unchecked Sendable {
  private let gate = Gate()
  private var made: Value?

  public init(_ make: @escaping @Sendable () -> Value) throws(POSIXError) {
    try NativeThread.start { [self] in
      made = make()
      gate.open()
    }
  }

  /// Waits until it is there.
  public var value: Value {
    gate.wait()
    // For whoever asks again.
    gate.open()
    guard let made else { preconditionFailure("the gate opens when it is made") }
    return made
  }
}
