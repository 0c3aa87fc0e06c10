import Glibc
public import SystemPackage

/// Checks that no other user can replace a directory: none may own or write to a parent directory, or own a
/// symbolic link in the path.
public struct PathTrust {
  /// The unsafe path and the reason.
  public struct Fault: Error, Equatable, Sendable {
    public var path: FilePath
    public var why: String
  }

  private let user: uid_t
  private let group: gid_t
  /// The overflow uid, which appears as the owner of files whose owner is not mapped in this user namespace. Set
  /// if root is not mapped, as in an unprivileged container.
  private let unmapped: uid_t?
  private var current: FilePath = "/"
  /// Whether `current` is writable by others and has the sticky bit.
  private var isShared = false
  private var links = 0

  private static let mostLinks = 40

  /// - Parameter path: absolute. Components that do not exist are ignored.
  public static func check(_ path: FilePath) throws(Fault) {
    var trust = PathTrust(user: geteuid(), group: getegid(), unmapped: unmappedRoot())
    try trust.walk(path.components.map(\.string))
  }

  private init(user: uid_t, group: gid_t, unmapped: uid_t?) {
    self.user = user
    self.group = group
    self.unmapped = unmapped
  }

  private mutating func walk(_ components: [String]) throws(Fault) {
    var rest = components[...]
    guard try enter(current) else { return }
    while let name = rest.popFirst() {
      if name == ".." {
        current = current.removingLastComponent()
        guard try enter(current) else { return }
        continue
      }
      let next = current.appending(name)
      if FileKind.of(next) == .symbolicLink {
        rest = try follow(next)[...] + rest
        guard try enter(current) else { return }
      } else {
        guard try enter(next) else { return }
      }
    }
  }

  /// - Returns: false when it does not exist.
  private mutating func enter(_ path: FilePath) throws(Fault) -> Bool {
    var status = stat()
    guard path.withPlatformString({ lstat($0, &status) }) == 0 else { return false }
    try checkOwner(status, path)
    let othersMayWrite = status.st_mode & S_IWOTH != 0
    let groupMayWrite = status.st_mode & S_IWGRP != 0 && status.st_gid != 0 && status.st_gid != group
    let isSticky = status.st_mode & S_ISVTX != 0
    if (othersMayWrite || groupMayWrite) && !isSticky {
      let mode = String(status.st_mode & 0o7777, radix: 8)
      throw Fault(
        path: path, why: "\(othersMayWrite ? "everybody" : "another group") may write to it (mode \(mode))")
    }
    isShared = othersMayWrite || groupMayWrite
    current = path
    return true
  }

  /// - Returns: the components of the link's target, relative to `current`.
  private mutating func follow(_ link: FilePath) throws(Fault) -> [String] {
    var status = stat()
    guard link.withPlatformString({ lstat($0, &status) }) == 0 else { return [] }
    try checkOwner(status, link)
    links += 1
    guard links <= Self.mostLinks else { throw Fault(path: link, why: "too many symbolic links") }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = link.withPlatformString { readlink($0, &buffer, buffer.count - 1) }
    guard count > 0 else { return [] }
    let target = FilePath(platformString: buffer)
    if target.isAbsolute { current = "/" }
    return target.components.map(\.string)
  }

  private func checkOwner(_ status: stat, _ path: FilePath) throws(Fault) {
    let owner = status.st_uid
    if owner == 0 || owner == user { return }
    // In a directory that others can write to, the owner need not be root.
    if let unmapped, owner == unmapped, !isShared { return }
    let name = getpwuid(owner).map { " (\(String(cString: $0.pointee.pw_name)))" } ?? ""
    throw Fault(path: path, why: "it belongs to user \(owner)\(name)")
  }

  /// The overflow uid if root is not mapped in this user namespace: user_namespaces(7).
  private static func unmappedRoot() -> uid_t? {
    func text(_ path: FilePath) -> String {
      String(decoding: (try? FileSystem.read(path)) ?? [], as: UTF8.self)
    }
    // Lines of `inside outside count`.
    let map = text("/proc/self/uid_map").split(separator: "\n").map {
      $0.split(separator: " ").map { UInt64($0) }
    }
    let hasRoot = map.isEmpty || map.contains { $0.count == 3 && $0[1] == 0 }
    if hasRoot { return nil }
    return uid_t(text("/proc/sys/kernel/overflowuid").split(separator: "\n").first ?? "65534")
  }
}
