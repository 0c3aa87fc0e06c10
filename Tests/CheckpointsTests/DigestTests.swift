import Checkpoints
import POSIX
import Reporting
import SystemPackage
import TestSupport
import Testing

/// Digests of both algorithms, and checkpoints of older versions.
struct DigestTests {
  /// Test vectors of the algorithms' authors.
  @Test(arguments: [
    (Digest.Algorithm.sha256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (.xxh128, "", "99aa06d3014798d86001c324468d497f"),
    (.xxh128, "abc", "06b05ab6733a618578af5f94892f3950"),
  ])
  func digestsMatchTestVectors(_ algorithm: Digest.Algorithm, _ text: String, _ digest: String) {
    #expect(Digest(of: Array(text.utf8), algorithm) == Digest(algorithm, digest))
  }

  @Test(arguments: Digest.Algorithm.allCases) func piecesGiveTheDigestOfTheWhole(
    _ algorithm: Digest.Algorithm
  ) {
    var random = Generator(seed: 3)
    let bytes = random.bytes(10_000)
    for _ in 0..<20 {
      let digest = DigestComputation(algorithm)
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = 1 + random.below(rest.count)
        rest.prefix(count).withUnsafeBytes { digest.update($0) }
        rest = rest.dropFirst(count)
      }
      #expect(digest.finish() == Digest(of: bytes, algorithm))
    }
  }

  /// A checkpoint in the form that older versions wrote: with SHA-256 only.
  private func older(_ place: Place, step: UInt64) throws -> String {
    let published = try place.publish(step: step, floats: 4000)
    let path = place.checkpoints.path(of: published.name)
    let state = Digest(of: try FileSystem.read(path.appending("state.safetensors")), .sha256).hexadecimal
    var text = String(decoding: try FileSystem.read(path.appending("manifest.json")), as: UTF8.self)
    text = text.replacing(#""sha256" : null"#, with: #""sha256" : "\#(state)""#)
    text = text.replacing(#""digest""#, with: #""unknown""#)
    text = text.replacing(#""digest_algorithm""#, with: #""other""#)
    try FileSystem.replace(path.appending("manifest.json"), with: Array(text.utf8), durable: false)
    let sums =
      "\(state)  state.safetensors\n\(Digest(of: Array(text.utf8), .sha256).hexadecimal)  manifest.json\n"
    try FileSystem.remove(path.appending("XXH128SUMS"))
    try FileSystem.replace(path.appending("SHA256SUMS"), with: Array(sums.utf8), durable: false)
    return published.name
  }

  @Test func checkpointsOfOlderVersionsVerify() throws {
    let place = try Place()
    let name = try older(place, step: 3)
    let manifest = try #require(place.checkpoints.verify(name, thorough: true).manifest)
    let digest = try #require(manifest.files.first?.digest)
    #expect(digest.algorithm == .sha256 && digest.hexadecimal.count == 64)
    try flip(place.file(name, "state.safetensors"), at: 2000)
    guard case .damaged(let file, let what) = place.checkpoints.verify(name, thorough: true) else {
      Issue.record("a flipped bit was not found")
      return
    }
    #expect(file == "state.safetensors" && what.hasPrefix("digest "))
  }

  @Test func anUnknownAlgorithmIsReported() throws {
    let place = try Place()
    let name = try place.publish(step: 3).name
    let path = place.file(name, "manifest.json")
    var text = String(decoding: try FileSystem.read(path), as: UTF8.self)
    text = text.replacing(#""xxh128""#, with: #""xxh999""#)
    try FileSystem.replace(path, with: Array(text.utf8), durable: false)
    let sums = place.file(name, "XXH128SUMS")
    var lines = String(decoding: try FileSystem.read(sums), as: UTF8.self).split(separator: "\n")
    lines[1] = "\(Digest(of: Array(text.utf8)).hexadecimal)  manifest.json"
    try FileSystem.replace(sums, with: Array((lines.joined(separator: "\n") + "\n").utf8), durable: false)
    let what = "the digest of state.safetensors has an unknown algorithm: update holdfast"
    #expect(place.checkpoints.verify(name, thorough: true) == .damaged(file: "manifest.json", what: what))
  }

  /// The digest of a staged image that an older version's supervisor left is compared too.
  @Test func anImageIsComparedWithADigestOfAnOlderVersion() throws {
    let place = try Place()
    let bytes = image(step: 5)
    let aligned = AlignedImage(bytes)
    let whole = UnsafeRawBufferPointer(aligned.bytes)
    let right = Digest(of: bytes, .sha256)
    let published = try place.checkpoints.publish(image: whole, .draft(step: 5), expected: { right })
    #expect(published.digest.algorithm == .xxh128)
    let error = #expect(throws: CheckpointError.self) {
      try place.checkpoints.publish(
        image: whole, .draft(step: 6, cut: "other"), expected: { Digest(.sha256, "ab") })
    }
    #expect(error?.code == .damaged)
  }
}
