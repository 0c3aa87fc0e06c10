import Glibc
import Holdfast
import POSIX
import Reporting
import SystemPackage

/// A trainer whose state is nested, and which hooks change on the way to a checkpoint and back: a table that is not
/// saved but computed again, and a counter that no component has.
enum ComponentTrainer {
  final class Layer: Stateful {
    var weight = [Double](repeating: 1, count: 6)
    var state: StateValue { .object(["weight": .tensor(Tensor(weight, shape: [2, 3]))]) }
    func load(_ state: StateValue) throws(CheckpointError) {
      try state.checkKeys(["weight"])
      weight = try state.doubles("weight", shape: [2, 3])
    }
  }

  final class Table: Stateful {
    var values: [Double] = []
    var state: StateValue { .object(["values": .tensor(Tensor(values))]) }
    func load(_ state: StateValue) throws(CheckpointError) { values = try state.doubles("values") }
  }

  final class Model: Composite, CheckpointHooks {
    let layers = [Layer(), Layer()]
    let table = Table()
    var parts: KeyValuePairs<String, any Stateful> {
      ["first": layers[0], "second": layers[1], "table": table]
    }

    func fillTable() { table.values = (0..<1000).map { layers[0].weight[0] * Double($0) } }

    func onSaveCheckpoint(_ states: inout [String: StateValue]) {
      guard case .object(var members)? = states["model"] else { return }
      members["table"] = nil
      states["model"] = .object(members)
    }

    func onLoadCheckpoint(_ states: inout [String: StateValue]) throws(CheckpointError) {
      var members = try states["model"]?.object() ?? [:]
      members["table"] = .object(["values": .tensor(Tensor([Double]()))])
      states["model"] = .object(members)
    }
  }

  /// - Parameter marker: a file; the first attempt dies where it creates it.
  static func run(_ marker: String?) throws {
    let run = try Run.attach(
      hyperparameters: ["rate": .real(1), "shape": .object(["rows": .integer(2), "drop": .real(0)])],
      totalEpochs: 1, batchesPerEpoch: FaultyTrainer.steps)
    let model = Model()
    var tokens: Int64 = 0
    run.register("model", model)
    let random = run.random("noise", seed: 7)
    run.onSaveCheckpoint { $0["tokens"] = .integer(tokens) }
    run.onLoadCheckpoint { states throws(CheckpointError) in tokens = try states["tokens"]?.integer() ?? 0 }
    try run.restore()
    model.fillTable()
    let directory = marker.map { FilePath($0 + ".checkpoints") }
    for _ in run.epochs(1) {
      while run.batch < FaultyTrainer.steps {
        let noise = Double(random.next() >> 40)
        model.layers[0].weight[0] += noise + model.table.values[Int(run.batch)]
        model.layers[1].weight[5] -= noise
        model.fillTable()
        tokens += Int64(run.batch)
        try run.step(["loss": noise], samples: 1)
        if run.step == 60, let directory, run.resumedFrom == nil { try run.save(to: directory) }
        if run.step == 80, let marker, Counter.once(marker) { kill(getpid(), SIGKILL) }
        usleep(2_000)
      }
    }
    try run.finish()
    if let directory {
      let saved = try Checkpoint.load(directory.appending("step-60"), overriding: ["rate": .real(0.5)])
      let values = try saved.state(of: "model").object().keys.sorted()
      print("saved \(saved.step) \(values) \(saved.hyperparameters["rate"] ?? .null) \(saved.metrics.count)")
    }
    print("digest \(model.layers[0].weight) \(model.layers[1].weight) \(tokens) \(random.next())")
  }
}
