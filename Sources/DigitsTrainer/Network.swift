import Checkpoints
import Glibc
import Holdfast

/// A multi-layer perceptron: two hidden layers with ReLU and dropout, softmax and cross entropy.
final class Network: Stateful {
  struct Layer {
    let inputs: Int
    let outputs: Int
    /// [inputs × outputs], row-major.
    var weights: [Float]
    /// [outputs]
    var biases: [Float]
  }

  static let dropout: Float = 0.1

  var layers: [Layer]

  init(hidden: Int, random: RandomSource) {
    let sizes = [Digits.pixels, hidden, hidden, Digits.classes]
    layers = zip(sizes, sizes.dropFirst()).map { inputs, outputs in
      // He et al., 2015: variance 2/inputs. Uniform: a normal generator would have to store its second value.
      let bound = (6 / Float(inputs)).squareRoot()
      let weights = (0..<inputs * outputs).map { _ in (random.uniform() * 2 - 1) * bound }
      return Layer(
        inputs: inputs, outputs: outputs, weights: weights, biases: [Float](repeating: 0, count: outputs))
    }
  }

  /// Gradients, in the order of `parameters`.
  struct Gradients {
    var values: [[Float]]
    /// Mean cross entropy.
    var loss: Float
  }

  /// Weights and biases, layer by layer.
  var parameterCounts: [Int] { layers.flatMap { [$0.weights.count, $0.biases.count] } }

  /// One forward and backward pass.
  /// - Parameters:
  ///   - images: [count × pixels]
  ///   - random: for the dropout masks.
  func gradients(_ images: [Float], _ labels: [Int], dropout random: RandomSource) -> Gradients {
    let count = labels.count
    var inputs = [images]
    var masks: [[Float]] = []
    for (index, layer) in layers.enumerated() {
      var outputs = affine(inputs[index], layer, count)
      if index < layers.count - 1 {
        let mask = dropoutMask(outputs, random)
        for unit in outputs.indices { outputs[unit] *= mask[unit] }
        masks.append(mask)
      }
      inputs.append(outputs)
    }
    var (delta, loss) = softmaxGradient(inputs[layers.count], labels)
    var values = [[Float]](repeating: [], count: layers.count * 2)
    for index in layers.indices.reversed() {
      let layer = layers[index]
      var weights = [Float](repeating: 0, count: layer.weights.count)
      Matrix.transposedMultiplyAdd(
        inputs[index], delta, into: &weights, m: count, k: layer.inputs, n: layer.outputs)
      values[index * 2] = weights
      values[index * 2 + 1] = columnSums(delta, layer.outputs)
      guard index > 0 else { break }
      var previous = [Float](repeating: 0, count: count * layer.inputs)
      Matrix.multiplyTransposed(
        delta, layer.weights, into: &previous, m: count, k: layer.inputs, n: layer.outputs)
      let mask = masks[index - 1]
      for unit in previous.indices { previous[unit] *= mask[unit] }
      delta = previous
    }
    return Gradients(values: values, loss: loss)
  }

  /// Share of images for which the most probable class is the label.
  func accuracy(_ images: [Float], _ labels: [Int]) -> Float {
    var values = images
    for (index, layer) in layers.enumerated() {
      values = affine(values, layer, labels.count)
      if index < layers.count - 1 { for unit in values.indices { values[unit] = max(0, values[unit]) } }
    }
    let correct = labels.indices.count { image in
      let scores = values[image * Digits.classes..<(image + 1) * Digits.classes]
      return scores.firstIndex(of: scores.max() ?? 0).map { $0 - scores.startIndex } == labels[image]
    }
    return Float(correct) / Float(labels.count)
  }

  private func affine(_ inputs: [Float], _ layer: Layer, _ count: Int) -> [Float] {
    var outputs: [Float] = []
    outputs.reserveCapacity(count * layer.outputs)
    for _ in 0..<count { outputs += layer.biases }
    Matrix.multiplyAdd(inputs, layer.weights, into: &outputs, m: count, k: layer.inputs, n: layer.outputs)
    return outputs
  }

  /// ReLU and inverted dropout as one factor for each unit: 0, or 1 / (1 - dropout).
  private func dropoutMask(_ outputs: [Float], _ random: RandomSource) -> [Float] {
    let scale = 1 / (1 - Self.dropout)
    return outputs.map { output in
      let isKept = random.uniform() >= Self.dropout
      return isKept && output > 0 ? scale : 0
    }
  }

  private func softmaxGradient(_ scores: [Float], _ labels: [Int]) -> (delta: [Float], loss: Float) {
    var delta = scores
    var loss: Float = 0
    for (image, label) in labels.enumerated() {
      let row = image * Digits.classes..<(image + 1) * Digits.classes
      let top = scores[row].max() ?? 0
      let exponentials = scores[row].map { expf($0 - top) }
      let total = exponentials.reduce(0, +)
      loss += logf(total) - (scores[row.lowerBound + label] - top)
      for (offset, value) in exponentials.enumerated() {
        let target: Float = offset == label ? 1 : 0
        delta[row.lowerBound + offset] = (value / total - target) / Float(labels.count)
      }
    }
    return (delta, loss / Float(labels.count))
  }

  private func columnSums(_ matrix: [Float], _ columns: Int) -> [Float] {
    var sums = [Float](repeating: 0, count: columns)
    for index in matrix.indices { sums[index % columns] += matrix[index] }
    return sums
  }

  // MARK: State

  var state: StateValue {
    .array(
      layers.map { layer in
        .object([
          "weights": .tensor(Tensor(layer.weights, shape: [layer.inputs, layer.outputs])),
          "biases": .tensor(Tensor(layer.biases)),
        ])
      })
  }

  func load(_ state: StateValue) throws(CheckpointError) {
    guard case .array(let saved) = state, saved.count == layers.count else {
      throw CheckpointError(.unsupported, "expected \(layers.count) layers")
    }
    for (index, value) in saved.enumerated() {
      let weights = try value.value("weights").tensor()
      guard weights.shape == [layers[index].inputs, layers[index].outputs] else {
        throw CheckpointError(
          .unsupported,
          "layer \(index) has shape \(weights.shape), but --hidden gives "
            + "[\(layers[index].inputs), \(layers[index].outputs)]")
      }
      layers[index].weights = try weights.floats()
      layers[index].biases = try value.value("biases").tensor().floats()
    }
  }
}
