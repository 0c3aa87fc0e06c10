import Glibc
import Holdfast

/// A trainer with 50,000 tensors: of every element type, of no dimension, empty, and with names of any characters.
enum TensorTrainer {
  final class Tensors: Stateful {
    static let count = 50_000
    static let texts = ["层", "é", "🧪", "a/b", "~1", "\"", "\u{1}", "$t", "\u{202e}x", "e\u{301}", "plain"]
    var tensors: [String: Tensor] = [:]

    init() {
      for index in 0..<Self.count { tensors[Self.name(index)] = Self.tensor(index, 0) }
    }

    private static func name(_ index: Int) -> String { "\(texts[index % texts.count]) \(index)" }

    /// - Parameter step: after which it has this value.
    private static func tensor(_ index: Int, _ step: UInt64) -> Tensor {
      let dtype = DType.allCases[index % DType.allCases.count]
      if index % 7 == 0 { return Tensor(dtype: dtype, shape: [2, 0, 3], bytes: []) }
      if index % 7 == 1 { return Tensor([Float(index) + Float(step)], shape: []) }
      let size = dtype.bytes(of: [8]) ?? 0
      return Tensor(dtype: dtype, shape: [8], bytes: (0..<size).map { UInt8(($0 + index) % 2) })
    }

    func change(_ step: UInt64) {
      for index in stride(from: 1, to: Self.count, by: 7) {
        tensors[Self.name(index)] = Self.tensor(index, step)
      }
    }

    func differences(_ step: UInt64) -> Int {
      let expected = (0..<Self.count).filter { index in
        tensors[Self.name(index)] != Self.tensor(index, index % 7 == 1 ? step : 0)
      }
      return expected.count
    }

    var state: StateValue { .object(tensors.mapValues(StateValue.tensor)) }

    func load(_ state: StateValue) throws(CheckpointError) {
      let members = try state.object()
      try state.checkKeys(tensors.keys)
      for (key, old) in tensors {
        tensors[key] = try state.tensor(key, dtype: old.dtype, shape: old.shape)
      }
      precondition(members.count == Self.count)
    }
  }

  static func run(_ marker: String?) throws {
    let run = try Run.attach(totalEpochs: 1, batchesPerEpoch: 12)
    let tensors = Tensors()
    run.register("模型/\u{301}", tensors)
    try run.restore()
    for _ in run.epochs(1) {
      while run.batch < 12 {
        tensors.change(run.step + 1)
        try run.step()
        if run.step == 9, let marker, Counter.once(marker) { kill(getpid(), SIGKILL) }
        usleep(20_000)
      }
    }
    try run.finish()
    print("digest \(run.step) \(tensors.differences(run.step)) \(run.resumedFrom.map { $0 > 0 } ?? false)")
  }
}
