import S3Server
import Storage
import SystemPackage
import Testing

/// What a user of the library writes, without importing the modules below it.
@Suite struct LibraryTests {
  /// The example in the documentation.
  @Test func newestCheckpointIsLoaded() throws {
    let (place, bucket) = (try Place(), try Bucket())
    let environment = bucket.server.environment(remote: "s3")
    let directory = place.root.string
    let remote = try RcloneRemote("s3:\(bucket.name)/jobs").appending("resnet50")
    let storage = RcloneStorage(remote, environment: environment)
    for step in [9, 10, 11] as [UInt64] {
      try storage.save(try place.publish(step: step), as: key("a/step-\(step)"), Transfer())
    }
    let newest = try storage.list(isCancelled: { false }).checkpoints
      .filter { $0.fault == nil }.max { ($0.step ?? 0) < ($1.step ?? 0) }
    if let newest {
      let transfer = Transfer(progress: { print("\($0.completedBytes) of \($0.totalBytes) bytes") })
      try storage.load(newest.key, into: FilePath("\(directory)/loaded/\(newest.key.name)"), transfer)
    }
    #expect(try contents(place.path("loaded/step-11")) == contents(place.source.path(of: "step-11")))
    do {
      try storage.load(key("a/step-12"), into: place.path("x"), Transfer())
    } catch {
      #expect(error.code == .missing)
    }
  }
}
