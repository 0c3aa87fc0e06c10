import Glibc
public import SystemPackage

/// Finding a program as a shell does.
public enum Executable {
  public enum Failure: Error, Hashable, Sendable {
    case notFound
    /// The path that is there, but cannot be executed.
    case notExecutable(FilePath)
  }

  /// - Parameters:
  ///   - name: a path when it has a slash, else looked for in `searchPath`.
  ///   - searchPath: as in `PATH`; an empty entry means the working directory.
  public static func find(_ name: String, searchPath: String) throws(Failure) -> FilePath {
    if name.contains("/") { return try check(FilePath(name)) }
    guard !name.isEmpty else { throw .notFound }
    var denied: FilePath?
    for entry in searchPath.split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = FilePath(entry.isEmpty ? "." : String(entry)).appending(name)
      do {
        return try check(candidate)
      } catch {
        // As execvp(3): one that may not be executed does not end the search, but is remembered.
        if case .notExecutable(let path) = error { denied = denied ?? path }
      }
    }
    if let denied { throw .notExecutable(denied) }
    throw .notFound
  }

  /// - Parameter environment: `NAME=value`; its `PATH` is searched.
  public static func find(_ name: String, environment: [String]) throws(Failure) -> FilePath {
    // As execvp(3) where there is none.
    let path = environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/bin:/usr/bin"
    return try find(name, searchPath: String(path))
  }

  /// What to type when `name` cannot be run.
  public static func hint(_ failure: Failure, _ name: String) -> Hint {
    switch failure {
    case .notExecutable(let path): "chmod +x \(path)"
    case .notFound where name.contains("/"): "ls -l \(name)"
    case .notFound: "command -v \(name)  where it would be; one in this directory is \("./" + name)"
    }
  }

  private static func check(_ path: FilePath) throws(Failure) -> FilePath {
    guard FileSystem.exists(path) else { throw .notFound }
    let mayExecute = path.withPlatformString { access($0, X_OK) } == 0
    guard mayExecute, !FileSystem.isDirectory(path) else { throw .notExecutable(path) }
    return path
  }
}
