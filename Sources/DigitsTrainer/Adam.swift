import Checkpoints
import Glibc
import Holdfast

/// Adam (Kingma and Ba, 2015) with a cosine learning rate (Loshchilov and Hutter, 2017) from `peak`
/// to zero over `totalSteps`.
final class Adam: Stateful {
  private let peak: Float
  private let totalSteps: Int
  private var steps: Int64 = 0
  /// First and second moments, an array for each parameter array of the network.
  private var first: [[Float]]
  private var second: [[Float]]

  init(counts: [Int], peak: Float, totalSteps: Int) {
    self.peak = peak
    self.totalSteps = totalSteps
    first = counts.map { [Float](repeating: 0, count: $0) }
    second = first
  }

  var learningRate: Float {
    peak * 0.5 * (1 + cosf(.pi * Float(steps) / Float(max(1, totalSteps))))
  }

  func update(_ network: Network, _ gradients: Network.Gradients) {
    let rate = learningRate
    steps += 1
    let correction1 = 1 - powf(0.9, Float(steps))
    let correction2 = 1 - powf(0.999, Float(steps))
    for index in network.layers.indices {
      apply(
        &network.layers[index].weights, gradients.values[index * 2], index * 2, rate, correction1, correction2
      )
      apply(
        &network.layers[index].biases, gradients.values[index * 2 + 1], index * 2 + 1, rate, correction1,
        correction2)
    }
  }

  private func apply(
    _ parameters: inout [Float], _ gradients: [Float], _ slot: Int, _ rate: Float, _ correction1: Float,
    _ correction2: Float
  ) {
    parameters.withUnsafeMutableBufferPointer { parameters in
      gradients.withUnsafeBufferPointer { gradients in
        first[slot].withUnsafeMutableBufferPointer { first in
          second[slot].withUnsafeMutableBufferPointer { second in
            for index in 0..<gradients.count {
              let gradient = gradients[index]
              first[index] = 0.9 * first[index] + 0.1 * gradient
              second[index] = 0.999 * second[index] + 0.001 * gradient * gradient
              let mean = first[index] / correction1
              let deviation = (second[index] / correction2).squareRoot()
              parameters[index] -= rate * mean / (deviation + 1e-8)
            }
          }
        }
      }
    }
  }

  var state: StateValue {
    .object([
      "steps": .integer(steps),
      "first": .array(first.map { .tensor(Tensor($0)) }),
      "second": .array(second.map { .tensor(Tensor($0)) }),
    ])
  }

  func load(_ state: StateValue) throws(CheckpointError) {
    steps = try state.value("steps").integer()
    first = try moments(state.value("first"))
    second = try moments(state.value("second"))
  }

  private func moments(_ value: StateValue) throws(CheckpointError) -> [[Float]] {
    guard case .array(let saved) = value, saved.count == first.count else {
      throw CheckpointError(.unsupported, "expected \(first.count) arrays")
    }
    var arrays: [[Float]] = []
    for (index, value) in saved.enumerated() {
      let array = try value.tensor().floats()
      guard array.count == first[index].count else {
        throw CheckpointError(
          .unsupported, "array \(index) has another size")
      }
      arrays.append(array)
    }
    return arrays
  }
}
