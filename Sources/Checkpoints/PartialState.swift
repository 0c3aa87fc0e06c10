import Reporting

/// What fits of a saved state: the object's own state, with each value that was saved in the same place with the
/// same type and shape. An object or array that is empty in the own state accepts any saved one.
public struct PartialState {
  /// Has the structure of the own state.
  public let value: StateValue
  /// In the order of their paths.
  public let notLoaded: [NotLoaded]

  /// - Parameter path: of the object, for `notLoaded`.
  public init(saved: StateValue, own: StateValue, path: String) {
    var merge = Merge()
    value = merge.value(saved, own, path)
    notLoaded = merge.notLoaded
  }

  private struct Merge {
    var notLoaded: [NotLoaded] = []

    mutating func value(_ saved: StateValue, _ own: StateValue, _ path: String) -> StateValue {
      switch (saved, own) {
      case (.object, .object(let own)) where own.isEmpty: return saved
      case (.array, .array(let own)) where own.isEmpty: return saved
      case (.object(let saved), .object(let own)): return .object(members(saved, own, path))
      case (.array(let saved), .array(let own)) where saved.count == own.count:
        return .array(zip(saved, own).enumerated().map { value($1.0, $1.1, "\(path)/\($0)") })
      case (.array(let saved), .array(let elements)):
        return mismatch("\(saved.count) elements saved, expected \(elements.count)", own, path)
      case (.tensor(let tensor), .tensor(let wanted)):
        do {
          try tensor.check(dtype: wanted.dtype, shape: wanted.shape)
          return saved
        } catch {
          return mismatch(error.what, own, path)
        }
      // A value that is optional in the object.
      case (.null, _), (_, .null): return saved
      case _ where saved.kind == own.kind: return saved
      default: return mismatch("saved as \(saved.kind), expected \(own.kind)", own, path)
      }
    }

    private mutating func members(
      _ saved: [String: StateValue], _ own: [String: StateValue], _ path: String
    ) -> [String: StateValue] {
      var merged: [String: StateValue] = [:]
      for key in Set(saved.keys).union(own.keys).sorted() {
        let path = "\(path)/\(ImageWriter.escape(key))"
        switch (saved[key], own[key]) {
        case (let saved?, let own?): merged[key] = value(saved, own, path)
        case (nil, let own?):
          merged[key] = own
          notLoaded.append(NotLoaded(path: path, reason: .notSaved))
        default: notLoaded.append(NotLoaded(path: path, reason: .unexpected))
        }
      }
      return merged
    }

    private mutating func mismatch(_ what: String, _ own: StateValue, _ path: String) -> StateValue {
      notLoaded.append(NotLoaded(path: path, reason: .mismatch(what)))
      return own
    }
  }
}
