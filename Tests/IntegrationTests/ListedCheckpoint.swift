import Foundation
import Testing

/// A line of `holdfast checkpoints list --json`.
struct ListedCheckpoint: Decodable {
  var name: String
  var step: Int
  var savedFor: [String]
  var metrics: [String: Double]
  var bytes: Int
  var weightsOnly: Bool

  enum CodingKeys: String, CodingKey {
    case name, step, metrics
    case savedFor = "saved_for"
    case bytes = "size_bytes"
    case weightsOnly = "weights_only"
  }
}

extension Workbench {
  /// In the order of the command: the newest first.
  func listedCheckpoints() throws -> [ListedCheckpoint] {
    struct Document: Decodable {
      var checkpoints: [ListedCheckpoint]
    }
    let shown = try holdfast(["checkpoints", "list", "--json", "--state-dir", state])
    #expect(shown.status == 0, "\(shown.err)")
    return try JSONDecoder().decode(Document.self, from: Data(shown.out.utf8)).checkpoints
  }
}
