import Glibc
import Holdfast

/// A trainer that misbehaves in one named way. Its state is a counter; a faultless run of `steps`
/// steps ends with `digest` and the sum of its random numbers.
@main
struct FaultyTrainer {
  static let steps = 120

  static func main() throws {
    let fault = CommandLine.arguments.dropFirst().first ?? "none"
    if fault.hasPrefix("absurd-") { return try AbsurdTrainer.run(fault) }
    let marker = CommandLine.arguments.dropFirst(2).first
    if fault == "many-tensors" { return try TensorTrainer.run(marker) }
    if fault == "components" { return try ComponentTrainer.run(marker) }
    /// Whether this is the first attempt to come here: the marker is a file that is made then.
    func once() -> Bool {
      guard let marker else { return true }
      let descriptor = open(marker, O_CREAT | O_EXCL | O_WRONLY, 0o600)
      if descriptor >= 0 { close(descriptor) }
      return descriptor >= 0
    }
    func die() { kill(getpid(), SIGKILL) }
    func closeDescriptors(from first: CInt) { for number in first..<1024 { close(number) } }

    switch fault {
    case "die-before-attaching": if once() { die() }
    case "ignore-sigterm": signal(SIGTERM, SIG_IGN)
    case "close-descriptors": closeDescriptors(from: 0)
    default: break
    }

    let run = try Run.attach(totalEpochs: 1, batchesPerEpoch: steps)
    let counter = Counter()
    run.register("counter", counter)
    if fault == "large-state" { run.register("ballast", Ballast()) }
    // A script that sets no seed is another run each time it begins.
    let random = run.random("noise", seed: fault == "unseeded" ? Clock.now : 7)
    let sampler = run.sampler("train", count: steps, batchSize: 1, seed: 3)
    let value = run.metric("loss")
    run.snapshotsAreFull = fault == "full-snapshots"
    if fault == "ignore-sigterm" { run.onLeave = { while true { sleep(1000) } } }
    if fault == "close-after-attaching" { closeDescriptors(from: 3) }
    if fault == "die-while-restoring" { counter.dieInLoads(2, marker: marker ?? "") }
    if fault.hasPrefix("die-in-copy-") { counter.breakCopy(Int(fault.dropFirst(12)) ?? 1, if: once) }
    try run.restore()
    if fault == "fork-worker", fork() == 0 {
      setsid()
      while true { sleep(1000) }
    }
    if fault == "hang-at-once", once() { sleep(1000) }

    for _ in run.epochs(1) {
      while let batch = sampler.next() {
        if fault == "die-in-batch", sampler.position == 61 { die() }
        if fault == "fail-in-batch", run.batch == 60, once() {
          run.fail(Misfortune())
          exit(1)
        }
        if fault == "eat-memory", run.batch == 60, once() { eatMemory() }
        if fault == "hang", run.batch == 60, once() { sleep(1000) }
        let noise = Double(random.next() >> 40)
        counter.total += Int64(noise) + Int64(batch[0])
        if fault == "unseeded", run.step == 0 { say("first \(noise)") }
        value.set(fault == "not-deterministic" ? Double(Clock.now) : noise)
        try run.step(samples: 1)
        if fault == "exit-without-finish", run.step == 80, once() { exit(0) }
        if fault == "close-after-attaching", run.step == 80, once() { sleep(1000) }
        if fault == "unseeded", let marker, run.step <= 3, Counter.once("\(marker)-\(run.step)") { die() }
        if fault == "die-while-restoring", run.step == 80, run.resumedFrom == nil { die() }
        if fault == "die-once" || fault == "not-deterministic", run.step == 80, once() { die() }
        // Slow where something is done to it in the middle.
        usleep(fault == "large-state" ? 300_000 : fault == "eat-memory" ? 100_000 : 5_000)
      }
    }
    try run.finish()
    print("digest \(counter.total)")
  }

  /// At once: who kills this process must not take back what it has said.
  static func say(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// Takes 4 GiB, page by page; below a limit the kernel ends it long before.
  static func eatMemory() {
    let bytes = 4 << 30
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
    for offset in stride(from: 0, to: bytes, by: 4096) {
      memory.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
    }
  }

  enum Clock {
    static var now: UInt64 {
      var generator = SystemRandomNumberGenerator()
      return generator.next() >> 12
    }
  }

  struct Misfortune: Error, CustomStringConvertible {
    let description = "Target 1000 is out of bounds"
  }
}

/// 64 MiB that never change, so that a checkpoint takes a while on a slow disk.
final class Ballast: Stateful {
  private var numbers = [Float](repeating: 1, count: 16 << 20)

  var state: StateValue { .object(["numbers": .tensor(Tensor(numbers, shape: [numbers.count]))]) }

  func load(_ state: StateValue) throws(CheckpointError) {
    numbers = try state.value("numbers").tensor().floats()
  }
}
