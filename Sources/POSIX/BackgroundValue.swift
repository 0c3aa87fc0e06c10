/// A value that is computed on its own thread.
public final class BackgroundValue<Value: Sendable>: @unchecked Sendable {
  private let gate = Gate()
  private var result: Value?

  public init(_ compute: @escaping @Sendable () -> Value) throws(POSIXError) {
    try NativeThread.start { [self] in
      result = compute()
      gate.open()
    }
  }

  /// Waits until the value is computed.
  public var value: Value {
    gate.wait()
    // For further calls.
    gate.open()
    guard let result else { preconditionFailure("the gate opens after the result is set") }
    return result
  }
}
