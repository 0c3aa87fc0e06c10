import Checkpoints
import Glibc
import POSIX
import Reporting
import S3Server
import Storage
import SystemPackage
import TrainerProtocol

/// Storing a checkpoint of 512 MiB in an S3 server on loopback, beside `rclone copy` of the same bytes.
struct UploadBenchmark {
  private static let bytes = 512 << 20
  private static let rounds = 3

  let place: FilePath

  func run() throws {
    let server = try S3Server()
    defer { server.stop() }
    let environment = server.environment(remote: "bench")
    let storage = RcloneStorage(try RcloneRemote("bench:bucket/jobs/job"), environment: environment)
    let source = try publish()
    var storing: [Double] = []
    var loading: [Double] = []
    var copying: [Double] = []
    var copyingAtOnce: [Double] = []
    func copy(_ options: String...) throws -> Double {
      defer { _ = try? rclone(["purge", "bench:bucket/copy"], environment) }
      return try nanosecondsTaken {
        try rclone(["copy"] + options + [source.string, "bench:bucket/copy"], environment)
      }
    }
    for round in 0..<Self.rounds {
      guard let key = StorageKey("a/step-\(round)") else { continue }
      storing.append(try nanosecondsTaken { try storage.save(source, as: key, Transfer()) })
      let loaded = place.appending("loaded")
      loading.append(try nanosecondsTaken { try storage.load(key, into: loaded, Transfer()) })
      try FileSystem.removeTree(loaded)
      try storage.remove(key) { false }
      copying.append(try copy())
      copyingAtOnce.append(try copy("--s3-upload-cutoff", "5Gi"))
    }
    let took = Sample(storing).percentile(0)
    let limit = Sample(copying).percentile(0)
    Report.line(
      "uploading 512 MiB, verification included",
      "\(Report.nanoseconds(took)), \(Report.ratio(limit / took)) of rclone copy", "≥ 0.9 of rclone copy",
      isMet: limit / took >= 0.9)
    Report.peer("rclone copy", Report.nanoseconds(limit))
    // The server rejects a request that rclone makes after a multipart upload, and rclone repeats its check.
    let atOnce = Sample(copyingAtOnce).percentile(0)
    Report.peer(
      "rclone copy, in one request", "\(Report.nanoseconds(atOnce)), \(Report.ratio(atOnce / took))")
    Report.peer("loading it, verified and durable", Report.nanoseconds(Sample(loading).percentile(0)))
  }

  /// - Returns: its directory.
  private func publish() throws -> FilePath {
    let tensor = Tensor((0..<Self.bytes / 4).map { Float($0) })
    let image = ImageWriter(
      [("model", .object(["weights": .tensor(tensor)]))],
      loop: ImageLoop(step: 1, epoch: 0, batch: 1, samples: 1, parts: []))
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.imageBytes, alignment: 4096)
    defer { bytes.deallocate() }
    image.write(into: bytes)
    let checkpoints = LocalCheckpoints(directory: place.appending("upload"))
    let manifest = Manifest(
      job: "bench", jobID: JobID().hexadecimal, attempt: 1, generation: 1, cutID: CutID().hexadecimal,
      step: 1,
      epoch: 0, batch: 0, samples: 0, createdAt: "2026-01-01T00:00:00.000Z", metrics: [:])
    return checkpoints.path(of: try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest).name)
  }

  private struct Failed: Error {}

  private func rclone(_ arguments: [String], _ environment: [String]) throws {
    let path = try Executable.find("rclone", environment: environment)
    let pipe = try PipeEnds()
    let child = try ChildProcess(
      .init(
        path: path, arguments: ["rclone"] + arguments, environment: environment, output: pipe.writing,
        error: pipe.writing))
    var polled = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&polled, 1, -1)
    guard try child.reap() == .exited(0) else { throw Failed() }
  }
}
