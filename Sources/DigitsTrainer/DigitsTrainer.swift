import ArgumentParser
import Checkpoints
import Glibc
import Holdfast

@main
struct DigitsTrainer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "digits-trainer",
    abstract: "Train a small network on 1,797 handwritten digits.",
    discussion: """
      The reference trainer of holdfast, which runs under holdfast run or alone. Its last line on \
      standard output is the SHA-256 of all final parameters and optimizer state.

      Data: "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning \
      Repository, 1998, CC BY 4.0.
      """)

  @Option(help: "Passes over the data.") var epochs = 20
  @Option(help: "Images in a batch.") var batchSize = 32
  @Option(help: "Units in each of the two hidden layers.") var hidden = 64
  @Option(help: "Learning rate of the first step; it decays to 0.") var learningRate = 0.003
  @Option(help: ArgumentHelp("Pause after each step, such as 10ms or 1s.", valueName: "duration"))
  var stepDelay = "0ms"
  @Option(help: "Seed of the weights, the shuffling and the dropout.") var seed: UInt64 = 1

  func validate() throws {
    guard epochs > 0, batchSize > 0, hidden > 0 else {
      throw ValidationError("--epochs, --batch-size and --hidden must be above 0")
    }
    guard delay != nil else { throw ValidationError("invalid --step-delay '\(stepDelay)'; write 10ms or 1s") }
  }

  private var delay: Duration? {
    let digits = stepDelay.prefix { $0.isNumber || $0 == "." }
    guard let value = Double(digits), value < 1e9 else { return nil }
    switch stepDelay.dropFirst(digits.count) {
    case "us": return .microseconds(value)
    case "ms": return .milliseconds(value)
    case "s": return .seconds(value)
    case "min": return .seconds(value * 60)
    default: return nil
    }
  }

  func run() throws {
    let digits = Digits()
    let batches = (digits.training.count + batchSize - 1) / batchSize
    let run = try Run.attach(
      hyperparameters: [
        "epochs": .integer(Int64(epochs)), "batch_size": .integer(Int64(batchSize)),
        "hidden": .integer(Int64(hidden)), "seed": .integer(Int64(bitPattern: seed)),
        "learning_rate": .real(learningRate),
      ], totalEpochs: epochs, batchesPerEpoch: batches)

    // With `--set` it is another one than that of this command line.
    let peak = run.hyperparameters["learning_rate"]?.number ?? learningRate
    let network = Network(hidden: hidden, random: RandomSource(seed: seed))
    let optimizer = Adam(counts: network.parameterCounts, peak: Float(peak), totalSteps: epochs * batches)
    run.register("network", network)
    run.register("optimizer", optimizer)
    let dropout = run.random("dropout", seed: seed &+ 1)
    let sampler = run.sampler("train", count: digits.training.count, batchSize: batchSize, seed: seed)
    let loss = run.metric("loss")
    let rate = run.metric("learning_rate")
    try run.restore()

    let (images, labels) = digits.gather(digits.validation)
    let pause = delay ?? .zero
    for epoch in run.epochs(epochs) {
      while let batch = sampler.next() {
        let (images, labels) = digits.gather(batch.map { digits.training[$0] })
        let gradients = network.gradients(images, labels, dropout: dropout)
        rate.set(optimizer.learningRate)
        optimizer.update(network, gradients)
        loss.set(gradients.loss)
        try run.step(samples: batch.count)
        if run.batch % 15 == 0 {
          log("epoch \(epoch + 1)/\(epochs) batch \(run.batch)/\(batches) loss \(gradients.loss)")
        }
        if pause > .zero { sleep(pause) }
      }
      run.phase = .validation
      let accuracy = network.accuracy(images, labels)
      log("epoch \(epoch + 1)/\(epochs) validation accuracy \(accuracy)")
      try run.log(["val_accuracy": Double(accuracy)])
      run.phase = .training
      try run.safepoint()
    }
    try run.finish()
    log("digest \(digest(network, optimizer))")
    if let best = run.bestCheckpoint {
      try network.load(Checkpoint.load(best.path).state(of: "network"))
      let accuracy = network.accuracy(images, labels)
      log("best checkpoint: step \(best.step), \(best.monitor) \(best.score), accuracy \(accuracy)")
    }
  }

  private func sleep(_ pause: Duration) {
    let (seconds, attoseconds) = pause.components
    var wanted = timespec()
    wanted.tv_sec = Int(seconds)
    wanted.tv_nsec = Int(attoseconds / 1_000_000_000)
    var left = timespec()
    while nanosleep(&wanted, &left) != 0, errno == EINTR { wanted = left }
  }

  /// Prints a line and flushes it, so that a kill cannot lose it.
  private func log(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// SHA-256 over every parameter and moment, in a fixed order.
  private func digest(_ network: Network, _ optimizer: Adam) -> String {
    let image = ImageWriter(
      [("network", network.state), ("optimizer", optimizer.state)],
      loop: ImageLoop(step: 0, epoch: 0, batch: 0, samples: 0, parts: []))
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.imageBytes, alignment: 16)
    defer { bytes.deallocate() }
    image.write(into: bytes)
    return SHA256.hex(UnsafeRawBufferPointer(bytes))
  }
}
