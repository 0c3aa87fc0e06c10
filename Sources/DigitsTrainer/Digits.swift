/// The images, with pixels from 0 to 1, split into training and validation sets.
struct Digits {
  static let pixels = 64
  static let classes = 10
  static let validationCount = 360

  /// Row-major, `pixels` columns.
  let images: [Float]
  let labels: [Int]
  let training: [Int]
  let validation: [Int]

  init() {
    let (images, labels) = Self.decode()
    self.images = images
    self.labels = labels
    // Adjacent images in the file are by the same writer: every fifth image is a representative sample.
    let isHeldOut = { (index: Int) in index % 5 == 4 && index / 5 < Self.validationCount }
    training = labels.indices.filter { !isHeldOut($0) }
    validation = labels.indices.filter(isHeldOut)
  }

  private static func decode() -> (images: [Float], labels: [Int]) {
    var images: [Float] = []
    var labels: [Int] = []
    digitsText.withUTF8Buffer { text in
      var pixel = 0
      for byte in text where byte != UInt8(ascii: "\n") {
        if pixel < Self.pixels {
          images.append(Float(byte - UInt8(ascii: "A")) / 16)
          pixel += 1
        } else {
          labels.append(Int(byte - UInt8(ascii: "0")))
          pixel = 0
        }
      }
    }
    return (images, labels)
  }

  /// Copies the images of `indices` into one matrix, row by row.
  func gather(_ indices: [Int]) -> (images: [Float], labels: [Int]) {
    var rows: [Float] = []
    rows.reserveCapacity(indices.count * Self.pixels)
    for index in indices { rows += images[index * Self.pixels..<(index + 1) * Self.pixels] }
    return (rows, indices.map { labels[$0] })
  }
}
