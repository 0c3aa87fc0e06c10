import Foundation
import Glibc
import Holdfast
import POSIX
import SystemPackage
import TrainerProtocol

// Each figure is printed with its limit or its peer, measured in the same run. Ratios travel between
// machines; the absolute targets are for one like the project's own (2 cores, local disk).

if CommandLine.arguments.dropFirst().first == "pace" {
  try Pace.run()
  exit(0)
}

if CommandLine.arguments.dropFirst().first == "twister" {
  try Twister.run()
  exit(0)
}

if CommandLine.arguments.count == 4, CommandLine.arguments[1] == "large" {
  try LargeTrainer.run(megabytes: Int(CommandLine.arguments[2]) ?? 1, log: CommandLine.arguments[3])
  exit(0)
}

let place = FilePath(CommandLine.arguments[1])
let memory = FilePath(CommandLine.arguments[2])
let programs = CommandLine.arguments[3]
let only = Set(CommandLine.arguments.dropFirst(4))

/// - Parameter parts: names of this measurement, and of others that include it.
func measure(_ parts: String..., body: () throws -> Void) throws {
  if only.isEmpty || !only.isDisjoint(with: parts) { try body() }
}

let steps = StepBenchmark(place: place, memory: memory)
let processes = ProcessBenchmark(place: place, memory: memory, programs: programs)
try measure("step") { try steps.step() }
try measure("drain") { try steps.drain() }
try measure("checkpoint") { try CheckpointBenchmark(place: place, memory: memory).run() }
try measure("checkpoint", "large") {
  try LargeStateBenchmark(place: place, memory: memory, programs: programs).run()
}
try measure("checkpoint", "list") { try ListBenchmark(place: place, programs: programs).run() }
try measure("upload") { try UploadBenchmark(place: place).run() }
try measure("restart") { try processes.restart() }
try measure("cost") { try processes.cost() }
try measure("status") { try processes.status() }
try measure("history") {
  try HistoryBenchmark(place: place, memory: memory, programs: programs).run()
}

/// A trainer that makes 1,000 steps a second, and finishes after a very long time.
enum Pace {
  static func run() throws {
    let run = try Run.attach()
    let loss = run.metric("loss")
    _ = run.random("noise", seed: 1)
    try run.restore()
    var next = now()
    for index in 0..<100_000_000 {
      loss.set(Double(index))
      try run.step(samples: 1)
      next += 1_000_000
      let pause = Int64(bitPattern: next &- now())
      if pause > 0 { usleep(UInt32(pause / 1000)) } else { next = now() }
    }
  }
}

/// A trainer that makes 85 steps/s, with a random stream as large as torch's in each.
enum Twister {
  static func run() throws {
    let directory = ProcessInfo.processInfo.environment["HOLDFAST_RUN_DIR"] ?? ""
    let ring = try RingWriter(directory: FilePath(directory))
    var state = [UInt8](repeating: 0, count: 5056)
    for step in 1...100_000_000 as ClosedRange<UInt64> {
      state[Int(step) % state.count] = UInt8(truncatingIfNeeded: step)
      let parts = EncodedParts.encode([.init(kind: .rng, name: "torch", bytes: state)])
      _ = [1 / Double(step)].withUnsafeBufferPointer { metrics in
        parts.withUnsafeBytes { parts in
          ring.appendSnapshot(
            step: step, epoch: 0, batch: step, samples: step, timeNanoseconds: now(), phase: .training,
            metrics: metrics, parts: parts, partCount: 1, image: UnsafeRawBufferPointer(start: nil, count: 0))
        }
      }
      usleep(11_700)
    }
  }
}
