import Checkpoints
import Glibc
import POSIX
import Reporting
import S3Server
import Storage
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Faults of a real S3 server and of rclone.
@Suite struct RcloneFaultTests {
  private static func options(partBytes: Int = 1000, timeout: Duration = .seconds(60))
    -> RcloneStorage.Options
  {
    var options = RcloneStorage.Options()
    options.partBytes = partBytes
    options.timeout = timeout
    return options
  }

  private func code(_ body: () throws -> Void) -> StorageErrorCode? {
    do {
      try body()
      return nil
    } catch {
      return (error as? StorageError)?.code
    }
  }

  /// A remote that accepts bytes and loses them: all objects, or their contents.
  @Test(arguments: [S3Server.Fault.forget, .lose]) func lostUploadIsNotListed(fault: S3Server.Fault) throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 5)
    bucket.set(fault)
    let error = #expect(throws: StorageError.self) {
      try bucket.storage(Self.options()).save(source, as: key("a/step-5"), Transfer())
    }
    #expect(error?.code == .damaged && error?.what == "the storage did not retain what it accepted")
    let object = #expect(throws: StorageError.self) {
      try bucket.storage().write([1, 2, 3], as: key("heartbeat"), isCancelled: never)
    }
    #expect(object?.code == .damaged)
    bucket.set(.none)
    #expect(try bucket.storage().list(isCancelled: never).checkpoints == [])
    // When the remote works again, the same upload succeeds.
    try bucket.storage(Self.options()).save(source, as: key("a/step-5"), Transfer())
    try bucket.storage().load(key("a/step-5"), into: place.path("step-5"), Transfer())
    #expect(try contents(place.path("step-5")) == contents(source))
  }

  @Test func listedObjectsThatDoNotExistAreAFault() throws {
    let (place, bucket) = (try Place(), try Bucket())
    try bucket.storage().save(try place.publish(step: 5), as: key("a/step-5"), Transfer())
    bucket.set(.phantom)
    let storage = try bucket.storage()
    let listed = try storage.list(isCancelled: never).checkpoints
    #expect(listed.map(\.fault) == ["manifest.json: missing or not a manifest"])
    #expect(code { try storage.load(key("a/step-5"), into: place.path("x"), Transfer()) } == .missing)
    bucket.set(.none)
    // What could not be read is not remembered.
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.fault) == [nil])
    #expect(code { try storage.load(key("a/step-6"), into: place.path("x"), Transfer()) } == .missing)
  }

  @Test func objectDamagedAtTheDestinationIsDetectedAtLoad() throws {
    let (place, bucket) = (try Place(), try Bucket())
    try bucket.storage(Self.options()).save(try place.publish(step: 5), as: key("a/step-5"), Transfer())
    bucket.set(.corrupt)
    let error = #expect(throws: StorageError.self) {
      try bucket.storage().load(key("a/step-5"), into: place.path("x"), Transfer())
    }
    #expect(error?.code == .damaged && error?.what.hasPrefix("state.safetensors: digest ") == true)
    #expect(try FileSystem.list(place.root) == ["checkpoints"])
    bucket.set(.none)
    try bucket.storage().load(key("a/step-5"), into: place.path("x"), Transfer())
  }

  @Test func lostPartIsAFaultOfTheListing() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let storage = try bucket.storage(Self.options())
    try storage.save(try place.publish(step: 5), as: key("a/step-5"), Transfer())
    let part = "t:\(bucket.name)/jobs/job/checkpoints/a/step-5/state.safetensors.part-00002-of-00005"
    #expect(try run(["rclone", "deletefile", part], bucket.server.environment(remote: "t")) == .exited(0))
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.fault) == ["state.safetensors: missing"])
    #expect(code { try storage.load(key("a/step-5"), into: place.path("x"), Transfer()) } == .damaged)
    #expect(try FileSystem.list(place.root) == ["checkpoints"])
  }

  @Test func damagedSourceIsNotListed() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 5)
    try flip(source.appending("state.safetensors"), at: 200)
    let error = #expect(throws: StorageError.self) {
      try bucket.storage().save(source, as: key("a/step-5"), Transfer())
    }
    #expect(error?.code == .damaged && error?.path == source)
    #expect(try bucket.storage().list(isCancelled: never).checkpoints == [])
  }

  @Test func wrongCredentialsAreDeniedAndNotPrinted() throws {
    let (place, bucket) = (try Place(), try Bucket())
    bucket.set(.deny)
    let storage = try bucket.storage(key: "AKIAWRONGWRONG", secret: "wrong/secret+value")
    let source = try place.publish(step: 5)
    let calls: [() throws -> Void] = [
      { _ = try storage.list(isCancelled: never) }, { try storage.save(source, as: key("a/b"), Transfer()) },
      { try storage.load(key("a/b"), into: place.path("x"), Transfer()) },
      { try storage.remove(key("a/b"), isCancelled: never) },
      { _ = try storage.read(key("a/b"), isCancelled: never) },
      { try storage.write([1], as: key("a/b"), isCancelled: never) },
    ]
    for call in calls {
      let error = #expect(throws: StorageError.self) { try call() }
      #expect(error?.code == .denied && error?.why?.contains("InvalidAccessKeyId") == true)
      let text = "\(String(describing: error)) \(error?.hint?.text ?? "")"
      #expect(!text.contains("WRONG") && !text.contains("wrong/secret"), "\(text)")
    }
  }

  @Test func serverThatIsDownOrHangsIsUnreachable() throws {
    let (place, server) = (try Place(), try S3Server())
    defer { server.stop() }
    let bucket = try Bucket(on: server)
    let storage = try bucket.storage(Self.options(timeout: .seconds(2)))
    let source = try place.publish(step: 5)
    try storage.save(source, as: key("a/step-5"), Transfer())
    server.suspend()
    #expect(code { _ = try storage.list(isCancelled: never) } == .unreachable)
    #expect(code { try storage.save(source, as: key("a/step-6"), Transfer()) } == .unreachable)
    server.resume()
    // In the middle of an upload.
    let large = try place.publish(step: 7, floats: 8 << 20)
    let silence = #expect(throws: StorageError.self) {
      try bucket.storage(Self.options(partBytes: 8 << 20, timeout: .seconds(2))).save(
        large, as: key("a/step-7"),
        Transfer(progress: { if $0.completedBytes > 1 << 20 { server.suspend() } }))
    }
    #expect(silence?.code == .unreachable && silence?.errno == .timedOut, "\(String(describing: silence))")
    // Cancelled while it hangs.
    let long = try bucket.storage()
    let began = Clock.monotonicNanoseconds
    #expect(
      code { _ = try long.list(isCancelled: { Clock.monotonicNanoseconds > began + 300_000_000 }) }
        == .cancelled)
    server.resume()
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.step) == [5])
    server.stop()
    let error = #expect(throws: StorageError.self) { _ = try storage.list(isCancelled: never) }
    #expect(error?.code == .unreachable && error?.why?.contains("connection refused") == true)
    #expect(error?.why?.contains("Signature") == false && error?.why?.contains("testing") == false)
  }

  @Test func cancelledUploadLeavesNoProcess() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 5, floats: 4 << 20)
    bucket.set(.slow)
    let sessions = Mutex<Set<pid_t>>([])
    let error = #expect(throws: StorageError.self) {
      try bucket.storage(Self.options(partBytes: 2 << 20)).save(
        source, as: key("a/step-5"),
        Transfer(isCancelled: {
          let mine = bucket.rcloneProcesses
          return sessions.withLock { sessions in
            sessions.formUnion(mine)
            return mine.count > 2
          }
        }))
    }
    #expect(error?.code == .cancelled)
    let seen = sessions.withLock { $0 }
    #expect(seen.count > 2)
    for session in seen { #expect(ends(session)) }
  }

  @Test func missingProgramAndUnknownRemoteAreNamed() throws {
    let remote = try RcloneRemote("nosuch:bucket")
    let without = RcloneStorage(remote, environment: ["PATH=/nonexistent"])
    let missing = #expect(throws: StorageError.self) { _ = try without.list(isCancelled: never) }
    #expect(missing?.code == .program && missing?.what == "cannot run rclone")
    #expect(missing?.hint == "sudo apt install rclone")
    let storage = RcloneStorage(
      remote, environment: ["PATH=/usr/bin:/bin", "HOME=/dev/null", "RCLONE_CONFIG=/dev/null"])
    let unknown = #expect(throws: StorageError.self) { _ = try storage.list(isCancelled: never) }
    #expect(unknown?.code == .unsupported && unknown?.path == "nosuch:bucket/checkpoints")
  }

  /// Every process may read the arguments of rclone.
  @Test func parametersAreNotInTheArgumentsOfRclone() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let text =
      ":s3,provider=Other,region=us-east-1,access_key_id=AKIASECRETKEY,secret_access_key='very:secret,''value',"
      + "endpoint=\"http://127.0.0.1:\(bucket.server.port)\":\(bucket.name)/jobs"
    let remote = try RcloneRemote(text).appending("job")
    let environment = ["PATH=/usr/bin:/bin", "HOME=/dev/null", "RCLONE_CONFIG=/dev/null"]
    let storage = RcloneStorage(remote, environment: environment, options: Self.options())
    let lines = Mutex<Set<String>>([])
    try storage.save(
      try place.publish(step: 5), as: key("a/step-5"),
      Transfer(isCancelled: {
        let mine = bucket.rcloneProcesses.map(Bucket.commandLine)
        lines.withLock { $0.formUnion(mine) }
        return false
      }))
    let seen = lines.withLock { $0 }
    #expect(seen.contains { $0.contains("rclone rcat") })
    for line in seen { #expect(!line.lowercased().contains("secret"), "\(line)") }
    #expect(try storage.list(isCancelled: never).checkpoints.map(\.step) == [5])
    #expect(storage.name == ":s3,…:\(bucket.name)/jobs/job")
    bucket.set(.deny)
    let error = #expect(throws: StorageError.self) { _ = try storage.list(isCancelled: never) }
    #expect(error?.code == .denied && !String(describing: error).lowercased().contains("secret"))
  }

  @Test func bandwidthIsLimited() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let source = try place.publish(step: 5, floats: 100_000)
    var options = Self.options(partBytes: 100_000)
    options.bytesPerSecond = 150_000
    let began = Clock.monotonicNanoseconds
    try bucket.storage(options).save(source, as: key("a/step-5"), Transfer())
    // 400 kB; nothing ends earlier than the limit allows.
    #expect(Clock.monotonicNanoseconds - began > 2_500_000_000)
  }

  private func run(_ arguments: [String], _ environment: [String]) throws -> ChildProcess.Status? {
    let path = try Executable.find(arguments[0], environment: environment)
    let pipe = try PipeEnds()
    let child = try ChildProcess(
      .init(
        path: path, arguments: arguments, environment: environment, output: pipe.writing, error: pipe.writing)
    )
    var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&polled, 1, 60_000)
    return try child.reap()
  }
}
