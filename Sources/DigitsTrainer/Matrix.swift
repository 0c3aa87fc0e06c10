/// The three products of a dense layer, with a fixed order of summation: bit-identical on every run of the same
/// binary. Row-major; the inner loops run over contiguous memory, so that the compiler can vectorize them without
/// changing the order of any sum.
enum Matrix {
  /// c[m×n] += a[m×k] · b[k×n]
  static func multiplyAdd(_ a: [Float], _ b: [Float], into c: inout [Float], m: Int, k: Int, n: Int) {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          for row in 0..<m {
            for inner in 0..<k {
              let factor = a[row &* k &+ inner]
              // Dropped and rectified units are zero, usually half of them.
              if factor == 0 { continue }
              for column in 0..<n { c[row &* n &+ column] += factor * b[inner &* n &+ column] }
            }
          }
        }
      }
    }
  }

  /// c[k×n] += aᵀ · b with a[m×k], b[m×n]: a layer's weight gradient.
  static func transposedMultiplyAdd(
    _ a: [Float], _ b: [Float], into c: inout [Float], m: Int, k: Int, n: Int
  ) {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          for row in 0..<m {
            for inner in 0..<k {
              let factor = a[row &* k &+ inner]
              if factor == 0 { continue }
              for column in 0..<n { c[inner &* n &+ column] += factor * b[row &* n &+ column] }
            }
          }
        }
      }
    }
  }

  /// c[m×k] = a[m×n] · bᵀ with b[k×n]: a layer's input gradient. Eight partial sums for vectorization, added in a
  /// fixed order.
  static func multiplyTransposed(_ a: [Float], _ b: [Float], into c: inout [Float], m: Int, k: Int, n: Int) {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          for row in 0..<m {
            for inner in 0..<k {
              var partial = SIMD8<Float>(repeating: 0)
              var column = 0
              while column &+ 8 <= n {
                let x = UnsafeRawPointer(a.baseAddress! + (row &* n &+ column)).loadUnaligned(
                  as: SIMD8<Float>.self)
                let y = UnsafeRawPointer(b.baseAddress! + (inner &* n &+ column)).loadUnaligned(
                  as: SIMD8<Float>.self)
                partial += x * y
                column &+= 8
              }
              var sum = partial.sum()
              while column < n {
                sum += a[row &* n &+ column] * b[inner &* n &+ column]
                column &+= 1
              }
              c[row &* k &+ inner] = sum
            }
          }
        }
      }
    }
  }
}
