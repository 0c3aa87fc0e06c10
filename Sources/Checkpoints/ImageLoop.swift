import Reporting

/// The loop state in an image, which is of the same step as the image's tensors.
public struct ImageLoop: Hashable, Sendable {
  public struct Part: Hashable, Sendable {
    /// `rng`, `sampler` or `other`.
    public var kind: String
    public var name: String
    public var bytes: [UInt8]

    public init(kind: String, name: String, bytes: [UInt8]) {
      self.kind = kind
      self.name = name
      self.bytes = bytes
    }
  }

  public var step: UInt64
  public var epoch: UInt64
  public var batch: UInt64
  public var samples: UInt64
  public var parts: [Part]

  public init(step: UInt64, epoch: UInt64, batch: UInt64, samples: UInt64, parts: [Part]) {
    self.step = step
    self.epoch = epoch
    self.batch = batch
    self.samples = samples
    self.parts = parts
  }

  func write(to json: inout JSONText) {
    json.raw("{\"step\":")
    json.integer(step)
    json.raw(",\"epoch\":")
    json.integer(epoch)
    json.raw(",\"batch\":")
    json.integer(batch)
    json.raw(",\"samples\":")
    json.integer(samples)
    json.raw(",\"parts\":[")
    for (index, part) in parts.enumerated() {
      if index > 0 { json.raw(",") }
      json.raw("{\"kind\":")
      json.string(part.kind)
      json.raw(",\"name\":")
      json.string(part.name)
      json.raw(",\"bytes\":")
      json.string(Base64.encode(part.bytes))
      json.raw("}")
    }
    json.raw("]}")
  }
}

extension ImageLoop {
  init?(_ document: JSONValue) {
    guard let members = document.object, let step = members["step"]?.counter,
      let epoch = members["epoch"]?.counter, let batch = members["batch"]?.counter,
      let samples = members["samples"]?.counter, let parts = members["parts"]?.array
    else { return nil }
    self.init(step: step, epoch: epoch, batch: batch, samples: samples, parts: [])
    for part in parts {
      guard let members = part.object, let kind = members["kind"]?.string,
        let name = members["name"]?.string,
        let bytes = members["bytes"]?.string.flatMap(Base64.decode)
      else { return nil }
      self.parts.append(Part(kind: kind, name: name, bytes: bytes))
    }
  }
}

extension ImageLoop: Codable {
  enum CodingKeys: String, CodingKey { case step, epoch, batch, samples, parts }
}

extension ImageLoop.Part: Codable {
  enum CodingKeys: String, CodingKey { case kind, name, bytes }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    kind = try container.decode(String.self, forKey: .kind)
    name = try container.decode(String.self, forKey: .name)
    guard let bytes = Base64.decode(try container.decode(String.self, forKey: .bytes)) else {
      throw DecodingError.dataCorruptedError(forKey: .bytes, in: container, debugDescription: "not base64")
    }
    self.bytes = bytes
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .kind)
    try container.encode(name, forKey: .name)
    try container.encode(Base64.encode(bytes), forKey: .bytes)
  }
}
