import Glibc
import Reporting
public import SystemPackage

/// Finds programs as a shell does.
public enum Executable {
  public enum Failure: Error, Hashable, Sendable {
    case notFound
    /// A path that exists but cannot be executed, or a parent directory that may not be searched, with the
    /// kernel's error.
    case notExecutable(FilePath, Errno)
  }

  /// - Parameters:
  ///   - name: a path if it contains a slash; otherwise it is searched in `searchPath`.
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
        // As execvp(3): continue the search after EACCES, but report it if nothing is found.
        if case .notExecutable(_, .permissionDenied) = error { denied = denied ?? error }
      }
    }
    throw denied ?? .notFound
  }

  /// - Parameter environment: `NAME=value`; its `PATH` is searched.
  public static func find(_ name: String, environment: [String]) throws(Failure) -> FilePath {
    // The default of execvp(3).
    let path = environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/bin:/usr/bin"
    return try find(name, searchPath: String(path))
  }

  /// The hint for the user when `name` cannot be executed.
  public static func hint(_ failure: Failure, _ name: String) -> Hint {
    switch failure {
    case .notExecutable(let path, .permissionDenied) where !FileSystem.isDirectory(path): "chmod +x \(path)"
    case .notExecutable(let path, _): "ls -ld \(path)"
    case .notFound where name.contains("/"): "ls -l \(name)"
    case .notFound: "command -v \(name)  is it in PATH? For a file in this directory, write \("./" + name)"
    }
  }

  /// As env(1): ENOENT means not found; other errors are those of execve(2).
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

  /// The first parent directory of `path` that may not be searched; `path` itself if a symbolic link leads
  /// through that directory.
  private static func unsearchable(on path: FilePath) -> FilePath {
    var directory = path.isAbsolute ? FilePath("/") : FilePath(".")
    for component in path.removingLastComponent().components {
      directory.append(component)
      if directory.withPlatformString({ access($0, X_OK) }) != 0, errno == EACCES { return directory }
    }
    return path
  }

  /// The reason why execve(2) returned ENOENT for an existing program: the interpreter in its first line, or the
  /// loader of a binary, is missing.
  public static func missingInterpreter(of path: FilePath) -> String? {
    guard FileSystem.exists(path), let file = try? OpenFile(path, .readOnly, followsLink: true),
      let bytes = try? file.read(atMost: 256)
    else { return nil }
    guard bytes.starts(with: "#!".utf8) else { return "the loader named in \(path) does not exist" }
    let line = bytes.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }
    let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" || $0 == "\r" }
    let note = line.last == UInt8(ascii: "\r") ? " (its line ends in CR LF)" : ""
    return "its interpreter \(words.first ?? "in the first line") does not exist\(note)"
  }

  public static func isText(_ path: FilePath) -> Bool {
    guard let file = try? OpenFile(path, .readOnly, followsLink: true),
      let bytes = try? file.read(atMost: 4096)
    else {
      return false
    }
    // The criterion of bash: no NUL byte in the first line.
    return !bytes.isEmpty && !bytes.prefix { $0 != UInt8(ascii: "\n") }.contains(0)
  }
}
