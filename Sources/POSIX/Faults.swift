#if DEBUG
public import SystemPackage
import Synchronization

/// Injects errors into system calls, for tests. Only in debug builds.
public enum Faults {
  public typealias Injector = @Sendable (_ operation: String, _ path: FilePath?) -> Errno?

  private static let injectors = Mutex<[Int: Injector]>([:])

  /// Calls `injector` before every call of `posix` while `body` runs. Other tests run at the same time, so the
  /// injector must check the path.
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
