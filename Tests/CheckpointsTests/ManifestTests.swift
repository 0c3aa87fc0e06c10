import Reporting
import TestSupport
import Testing
import TrainerProtocol

@testable import Checkpoints

struct ManifestTests {
  private static func manifest() -> Manifest {
    var manifest = Manifest.draft(step: .max)
    manifest.hyperparameters = [
      "name": .string("a/b"), "rate": .real(0.1), "layers": .integer(.min), "nesterov": .bool(true),
      "decay": .real(0),
      "inner_model": .object(["dropRate": .array([.real(1), .integer(1), .null])]),
    ]
    manifest.ranks = [
      .init(
        rank: 0, files: ["state.safetensors"],
        loopState: ImageLoop(
          step: .max, epoch: 0, batch: 1, samples: 2, parts: [.init(kind: "rng", name: "é", bytes: [0, 255])])
      )
    ]
    manifest.files = [
      .init(
        name: "state.safetensors", bytes: .max, digest: Digest(.xxh128, String(repeating: "0", count: 32)))
    ]
    return manifest
  }

  @Test func manifestRoundTrips() throws {
    let manifest = Self.manifest()
    #expect(Manifest.decode(try manifest.encoded()) == manifest)
  }

  /// The keys in the file are those of the format.
  @Test func keysAreThoseOfTheFormat() throws {
    let text = try Self.manifest().encoded()
    let document = try #require(text.withUnsafeBytes { try? JSONValue($0) })
    #expect(
      document.object?.keys.sorted() == [
        "attempt", "batch", "created_at", "cut_id", "epoch", "files", "format_version", "generation",
        "hyperparameters", "job", "job_id", "metrics", "ranks", "samples", "step", "world_size",
      ])
    #expect(
      document.object?["ranks"]?.array?.first?.object?.keys.sorted() == ["files", "loop_state", "rank"])
    let file = try #require(document.object?["files"]?.array?.first?.object)
    #expect(file.keys.sorted() == ["bytes", "digest", "digest_algorithm", "name", "sha256"])
    #expect(file["sha256"] == .null && file["digest_algorithm"] == .string("xxh128"))
  }

  @Test func nonFiniteMetricsAreOmitted() throws {
    var manifest = Self.manifest()
    #expect(manifest.metrics == ["loss": 0.5], "left out when made")
    manifest.hyperparameters["rate"] = .real(.infinity)
    #expect(Manifest.decode(try manifest.encoded())?.hyperparameters["rate"] == .string("inf"))
    manifest.metrics["loss"] = .nan
    #expect(throws: CheckpointError.self) { try manifest.encoded() }
  }

  /// The parser accepts any bytes.
  @Test func damagedTextIsRejected() throws {
    let whole = try Self.manifest().encoded()
    for seed in UInt64(0)..<4000 {
      var random = Generator(seed: seed)
      var text = seed % 4 == 0 ? random.bytes(random.below(300)) : whole
      for _ in 0...random.below(4) where !text.isEmpty {
        let place = random.below(text.count)
        switch random.below(4) {
        case 0: text[place] ^= 1 << UInt8(random.below(8))
        case 1: text.removeSubrange(place..<min(text.count, place + 1 + random.below(30)))
        case 2: text[place] = #"{}[]",:\0123456789-.eE"#.utf8.randomElement(using: &random) ?? 0
        default:
          text.insert(contentsOf: text[place..<min(text.count, place + 20)], at: random.below(text.count))
        }
      }
      guard let manifest = Manifest.decode(text) else { continue }
      // What is read can be written, unless a number became infinite.
      _ = try? manifest.encoded()
    }
    for count in stride(from: 0, to: whole.count, by: 7) {
      _ = Manifest.decode(Array(whole.prefix(count)))
    }
    #expect(Manifest.decode(Array(repeating: UInt8(ascii: "["), count: 300_000)) == nil)
  }
}
