import Reporting

/// Members of an object by key, for a component's `load`. Errors have the path of the value in `item`: the run
/// adds the component's name.
extension StateValue {
  private func member<Result>(
    _ key: String, _ read: (StateValue) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    let value = try value(key)
    do { return try read(value) } catch { throw error.within(key) }
  }

  /// - Parameters:
  ///   - dtype: required element type; nil for any.
  ///   - shape: required shape; nil for any.
  public func tensor(
    _ key: String, dtype: DType? = nil, shape: [Int]? = nil
  ) throws(CheckpointError) -> Tensor {
    try member(key) { value throws(CheckpointError) in
      let tensor = try value.tensor()
      try tensor.check(dtype: dtype, shape: shape)
      return tensor
    }
  }

  /// The elements of an `F32` tensor.
  public func floats(_ key: String, shape: [Int]? = nil) throws(CheckpointError) -> [Float] {
    try tensor(key, dtype: .float32, shape: shape).floats()
  }

  public func doubles(_ key: String, shape: [Int]? = nil) throws(CheckpointError) -> [Double] {
    try tensor(key, dtype: .float64, shape: shape).doubles()
  }

  public func integers(_ key: String, shape: [Int]? = nil) throws(CheckpointError) -> [Int64] {
    try tensor(key, dtype: .int64, shape: shape).integers()
  }

  public func integer(_ key: String) throws(CheckpointError) -> Int64 {
    try member(key) { value throws(CheckpointError) in try value.integer() }
  }

  public func real(_ key: String) throws(CheckpointError) -> Double {
    try member(key) { value throws(CheckpointError) in try value.real() }
  }

  public func string(_ key: String) throws(CheckpointError) -> String {
    try member(key) { value throws(CheckpointError) in try value.string() }
  }

  public func bool(_ key: String) throws(CheckpointError) -> Bool {
    try member(key) { value throws(CheckpointError) in try value.bool() }
  }

  public func array(_ key: String) throws(CheckpointError) -> [StateValue] {
    try member(key) { value throws(CheckpointError) in try value.array() }
  }

  public func object(_ key: String) throws(CheckpointError) -> [String: StateValue] {
    try member(key) { value throws(CheckpointError) in try value.object() }
  }

  public func data(_ key: String) throws(CheckpointError) -> [UInt8] {
    try member(key) { value throws(CheckpointError) in try value.data() }
  }

  /// Passes the value under `key` to `load`, and adds the key to its errors: for parts with a state of their own.
  public func load(
    _ key: String, _ load: (StateValue) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try member(key, load)
  }

  /// - Throws: `missing` with all keys that are not saved or not expected.
  public func checkKeys(_ expected: some Sequence<String>) throws(CheckpointError) {
    let members = try object()
    let expected = Set(expected)
    let missing = expected.filter { members[$0] == nil }.sorted()
    let unexpected = members.keys.filter { !expected.contains($0) }.sorted()
    let faults = [("missing", missing), ("unexpected", unexpected)].filter { !$0.1.isEmpty }
    guard faults.isEmpty else {
      let text = faults.map { "\($0.0) keys: \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
      throw CheckpointError(.missing, text)
    }
  }
}

extension CheckpointError {
  /// The same error, of a value under `key`.
  public func within(_ key: String) -> CheckpointError {
    var error = self
    let key = ImageWriter.escape(key)
    error.item = item.map { "\(key)/\($0)" } ?? key
    return error
  }
}
