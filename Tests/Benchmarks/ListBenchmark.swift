import Checkpoints
import Glibc
import JobStore
import POSIX
import SystemPackage
import TrainerProtocol

/// `checkpoints list` of ten thousand checkpoints, with their files.
struct ListBenchmark {
  private static let count = 10_000

  /// Number of checkpoints whose manifests are read.
  private static let examinedCount = 100

  let place: FilePath
  let programs: String

  func run() throws {
    let state = place.appending("listed")
    try command("\(programs)/StoreBuilder long \(state) attempts=1 checkpoints=\(Self.count)")
    try publishNewest(state)
    // As large together as the records say.
    for number in 0..<Self.count - Self.examinedCount {
      let checkpoint = state.appending("checkpoints/step-\(number)")
      try FileSystem.makeDirectories(checkpoint)
      for (name, bytes) in [("state.safetensors", 800), ("manifest.json", 150), ("XXH128SUMS", 50)] {
        let file = try OpenFile(checkpoint.appending(name), .writeOnly, create: .always(mode: 0o600))
        try file.write(all: [UInt8](repeating: 32, count: bytes))
      }
    }
    for format in ["", " --json"] {
      let list = "\(programs)/holdfast checkpoints list\(format) --state-dir \(state) > /dev/null"
      let taken = try (0..<9).map { _ in try nanosecondsTaken { try command(list) } }
      let peer = try (0..<9).map { _ in
        try nanosecondsTaken { try command("\(programs)/holdfast --version > /dev/null") }
      }
      Report.line(
        "checkpoints list\(format), 10,000 checkpoints", "median \(Report.nanoseconds(Sample(taken).median))",
        "≤ 100 ms", isMet: Sample(taken).median <= 100e6)
      Report.peer("holdfast --version", Report.nanoseconds(Sample(peer).median))
    }
  }

  private func publishNewest(_ state: FilePath) throws {
    let job = try JobStore(stateDirectory: state, .readOnly).job()
    let checkpoints = LocalCheckpoints(directory: state.appending("checkpoints"))
    for number in Self.count - Self.examinedCount..<Self.count {
      let step = UInt64(number)
      let image = ImageWriter(
        [], loop: ImageLoop(step: step, epoch: 0, batch: step, samples: step, parts: []))
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.imageBytes, alignment: 4096)
      defer { bytes.deallocate() }
      image.write(into: bytes)
      let manifest = Manifest(
        job: "test", jobID: job?.id.hexadecimal ?? "", attempt: 1, generation: 1, cutID: CutID().hexadecimal,
        step: step, epoch: 0, batch: step, samples: step, createdAt: "2026-01-01T00:00:00.000Z", metrics: [:])
      _ = try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest)
    }
  }

  private func command(_ text: String) throws {
    let child = try ChildProcess(
      .init(path: "/bin/sh", arguments: ["sh", "-c", text], environment: ["PATH=/usr/bin:/bin"]))
    // Foundation's waitUntilExit comes tens of milliseconds late.
    var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
    poll(&exit, 1, -1)
    let status = try child.reap()
    precondition(status == .exited(0), text)
  }
}
