#if DEBUG
public import SystemPackage
import Synchronization

/// Errors that tests put in the way of system calls. Only in debug builds.
public enum Faults {
  public typealias Injector = @Sendable (_ operation: String, _ path: FilePath?) -> Errno?

  private static let injectors = Mutex<[Int: Injector]>([:])

  /// Asks `injector` before every call of `posix` while `body` runs. Others run at the same time:
  /// the injector looks at the path.
  public static func with<Result>(_ injector: @escaping Injector, _ body: () throws -> Result) rethrows
    -> Result
  {
    let key = injectors.withLock { injectors in
      let key = (injectors.keys.max() ?? 0) + 1
      injectors[key] = injector
      return key
    }
    defer { injectors.withLock { $0[key] = nil } }
    return try body()
  }

  static func next(_ operation: String, _ path: FilePath?) -> Errno? {
    let current = injectors.withLock { Array($0.values) }
    for injector in current {
      if let code = injector(operation, path) { return code }
    }
    return nil
  }
}
#endif
