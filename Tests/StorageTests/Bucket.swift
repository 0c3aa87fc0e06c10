import Glibc
import POSIX
import S3Server
import Storage
import Synchronization
import SystemPackage

/// A bucket of its own for each test, on one server.
struct Bucket {
  private static let shared = Mutex<S3Server?>(nil)
  private static let count = Atomic(0)

  let server: S3Server
  let name: String

  init(on server: S3Server? = nil) throws {
    name = "bucket-\(Self.count.add(1, ordering: .relaxed).newValue)"
    if let server {
      self.server = server
      return
    }
    self.server = try Self.shared.withLock { shared in
      if let shared { return shared }
      let started = try S3Server()
      shared = started
      return started
    }
  }

  func storage(
    _ options: RcloneStorage.Options = .init(), key: String = "testing-key", secret: String = "testing-secret"
  ) throws -> RcloneStorage {
    RcloneStorage(
      try RcloneRemote("t:\(name)/jobs").appending("job"),
      environment: server.environment(remote: "t", key: key, secret: secret), options: options)
  }

  /// Keys of the objects that were uploaded in full or in part, below the job, in order.
  var uploads: [String] {
    server.requests(bucket: name).filter { $0.method == "PUT" && $0.key != "" }.map {
      String($0.key.dropFirst("jobs/job/".count))
    }
  }

  /// Running processes of rclone that have the bucket's name in their arguments.
  var rcloneProcesses: Set<pid_t> {
    ChildProcess.helperSessions.filter { Self.commandLine($0).contains(name + "/") }
  }

  /// Empty when it has ended.
  static func commandLine(_ pid: pid_t) -> String {
    let bytes = (try? FileSystem.read(FilePath("/proc/\(pid)/cmdline"))) ?? []
    return String(decoding: bytes.map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
  }

  func set(_ fault: S3Server.Fault) { server.set(fault, bucket: name) }
}
