import Glibc
import Reporting
public import SystemPackage

/// Finding a program as a shell does.
public enum Executable {
  public enum Failure: Error, Hashable, Sendable {
    case notFound
    /// The path that is there but cannot be executed, or the directory on the way that may not be searched,
    /// and what the kernel says of it.
    case notExecutable(FilePath, Errno)
  }

  /// - Parameters:
  ///   - name: a path when it has a slash, else looked for in `searchPath`.
  ///   - searchPath: as in `PATH`; an empty entry means the working directory.
  public static func find(_ name: String, searchPath: String) throws(Failure) -> FilePath {
    if name.contains("/") { return try check(FilePath(name)) }
    guard !name.isEmpty else { throw .notFound }
    var denied: Failure?
    for entry in searchPath.split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = FilePath(entry.isEmpty ? "." : String(entry)).appending(name)
      do {
        return try check(candidate)
      } catch {
        // As execvp(3): one that may not be executed does not end the search, but is remembered.
        if case .notExecutable(_, .permissionDenied) = error { denied = denied ?? error }
      }
    }
    throw denied ?? .notFound
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
    case .notExecutable(let path, .permissionDenied) where !FileSystem.isDirectory(path): "chmod +x \(path)"
    case .notExecutable(let path, _): "ls -ld \(path)"
    case .notFound where name.contains("/"): "ls -l \(name)"
    case .notFound: "command -v \(name)  where it would be; one in this directory is \("./" + name)"
    }
  }

  /// As env(1): what is not there is not found; whatever else is in the way is itself, as execve(2) has it.
  private static func check(_ path: FilePath) throws(Failure) -> FilePath {
    var status = stat()
    if path.withPlatformString({ stat($0, &status) }) != 0 {
      let code = Errno(rawValue: errno)
      if code == .noSuchFileOrDirectory { throw .notFound }
      throw .notExecutable(code == .permissionDenied ? unsearchable(on: path) : path, code)
    }
    let mayExecute = path.withPlatformString { access($0, X_OK) } == 0
    guard mayExecute, status.st_mode & S_IFMT == S_IFREG else {
      throw .notExecutable(path, .permissionDenied)
    }
    return path
  }

  /// The first directory on the way to `path` that may not be searched; `path` itself where a symbolic link
  /// leads to it.
  private static func unsearchable(on path: FilePath) -> FilePath {
    var directory = path.isAbsolute ? FilePath("/") : FilePath(".")
    for component in path.removingLastComponent().components {
      directory.append(component)
      if directory.withPlatformString({ access($0, X_OK) }) != 0, errno == EACCES { return directory }
    }
    return path
  }

  /// What keeps a program that is there from being executed, where execve(2) says only that something is not
  /// found: the interpreter in its first line, or that of a binary.
  public static func missingInterpreter(of path: FilePath) -> String? {
    guard FileSystem.exists(path), let file = try? OpenFile(path, .readOnly, followsLink: true),
      let bytes = try? file.read(atMost: 256)
    else { return nil }
    guard bytes.starts(with: "#!".utf8) else { return "the loader that \(path) names is not there" }
    let line = bytes.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
    let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" || $0 == "\r" }
    let written = line.last == UInt8(ascii: "\r") ? " (its line ends in CR LF)" : ""
    return "its interpreter \(words.first ?? "in the first line") is not there\(written)"
  }

  public static func isText(_ path: FilePath) -> Bool {
    guard let file = try? OpenFile(path, .readOnly, followsLink: true),
      let bytes = try? file.read(atMost: 4096)
    else {
      return false
    }
    // As bash judges: no NUL byte in what may be the first line.
    return !bytes.isEmpty && !bytes.prefix { $0 != UInt8(ascii: "\n") }.contains(0)
  }
}
