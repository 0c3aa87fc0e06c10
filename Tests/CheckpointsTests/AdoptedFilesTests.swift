import Checkpoints
import Foundation
import POSIX
import SystemPackage
import Testing

/// Copies of files that another program wrote.
@Suite final class AdoptedFilesTests {
  private let base = NSTemporaryDirectory() + "holdfast-adopted-" + UUID().uuidString
  private var checkpoints: LocalCheckpoints { LocalCheckpoints(directory: FilePath(base + "/checkpoints")) }

  deinit { try? FileManager.default.removeItem(atPath: base) }

  private func write(_ path: String, _ text: String) throws {
    let place = URL(fileURLWithPath: base + "/" + path)
    try FileManager.default.createDirectory(
      at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: place)
  }

  private func text(_ path: String) -> String? {
    try? String(contentsOfFile: base + "/" + path, encoding: .utf8)
  }

  private func isWhole(_ files: AdoptedFiles) -> Bool {
    files.matches(FilePath(base + "/out/one"), isCancelled: { false })
  }

  private func source(_ files: [String], in directory: String) -> AdoptionSource {
    AdoptionSource(
      path: directory, kind: .directory, modifiedAt: "2026-01-02T03:04:05.678Z",
      files: files.map { .init(path: $0, source: FilePath("\(base)/\(directory)/\($0)")) })
  }

  private func adopt(_ source: AdoptionSource, number: UInt64 = 1, known: Digest? = nil) throws
    -> AdoptionOutcome
  {
    let draft = Manifest(
      job: "a", jobID: "b", attempt: 1, generation: 1, cutID: "c\(number)", step: number, epoch: 0, batch: 0,
      samples: 0, createdAt: "2026-01-02T03:04:05.678Z", metrics: [:])
    return try checkpoints.adopt(
      source, draft, name: "adopted-\(number)", known: known, isUnchanged: { true })
  }

  /// Names that a checkpoint's files cannot have, and that mean something in it, come back as they were.
  @Test func directoriesAreRestored() throws {
    let names = [
      "weights.bin", "deep/er/ä b", "manifest.json", "trainer_state.json", "x.part-00001-of-00002",
    ]
    for name in names { try write("out/one/\(name)", "text of \(name)") }
    guard case .published(let published) = try adopt(source(names, in: "out/one")) else {
      Issue.record("not published")
      return
    }
    let verdict = checkpoints.verify("adopted-1", thorough: true)
    let manifest = try #require(verdict.manifest, "\(verdict)")
    #expect(manifest == published.manifest && manifest.formatVersion == 2 && manifest.ranks.isEmpty)
    let files = try #require(AdoptedFiles(manifest, in: checkpoints.path(of: "adopted-1")))
    #expect(isWhole(files))

    try write("out/one/deep/er/ä b", "torn")
    #expect(!isWhole(files))
    let aside = try files.restore(to: FilePath(base + "/out/one"))
    #expect(aside?.string == base + "/out/.one.holdfast-aside")
    #expect(text("out/.one.holdfast-aside/deep/er/ä b") == "torn")
    for name in names { #expect(text("out/one/\(name)") == "text of \(name)") }
    // Once more: nothing that was set aside is lost.
    _ = try files.restore(to: FilePath(base + "/out/one"))
    #expect(text("out/.one.holdfast-aside-2/weights.bin") != nil)
    #expect(text("out/.one.holdfast-aside/deep/er/ä b") == "torn")
    // The same bytes are not published again.
    guard case .same = try adopt(source(names, in: "out/one"), number: 2, known: published.digest) else {
      Issue.record("published again")
      return
    }
    #expect(try checkpoints.names() == ["adopted-1"])
  }

  @Test func damagedCopyIsNotRestored() throws {
    try write("out/one/weights", "text")
    _ = try adopt(source(["weights"], in: "out/one"))
    try write("checkpoints/adopted-1/weights", "tezt")
    #expect(checkpoints.verify("adopted-1", thorough: true).manifest == nil)
    let manifest = try #require(checkpoints.verify("adopted-1", thorough: false).manifest)
    let files = try #require(AdoptedFiles(manifest, in: checkpoints.path(of: "adopted-1")))
    #expect(throws: CheckpointError.self) { try files.restore(to: FilePath(self.base + "/out/two")) }
    #expect(!FileManager.default.fileExists(atPath: base + "/out/two"))
  }

  /// A manifest may come from anywhere: its paths stay inside.
  @Test(arguments: ["../../escaped", "/tmp/escaped", "a/../../escaped", "", "a//b", "."])
  func pathsOfManifestStayInside(path: String) throws {
    try write("out/one/weights", "text")
    _ = try adopt(source(["weights"], in: "out/one"))
    let place = base + "/checkpoints/adopted-1/manifest.json"
    let altered = try #require(text("checkpoints/adopted-1/manifest.json")).replacing(
      "\"path\" : \"weights\"", with: "\"path\" : \"\(path)\"")
    try Data(altered.utf8).write(to: URL(fileURLWithPath: place))
    let sums =
      "\(Digest(of: Array("text".utf8)).hexadecimal)  weights\n\(Digest(of: Array(altered.utf8)).hexadecimal)  manifest.json\n"
    try write("checkpoints/adopted-1/XXH128SUMS", sums)
    #expect(checkpoints.verify("adopted-1", thorough: true).manifest == nil)
    let manifest = try #require(Manifest.decode(Array(altered.utf8)))
    #expect(AdoptedFiles(manifest, in: checkpoints.path(of: "adopted-1")) == nil)
  }

  @Test func changedFileIsNotPublished() throws {
    try write("out/one/weights", "text")
    let draft = Manifest(
      job: "a", jobID: "b", attempt: 1, generation: 1, cutID: "c", step: 1, epoch: 0, batch: 0, samples: 0,
      createdAt: "", metrics: [:])
    let outcome = try checkpoints.adopt(
      source(["weights"], in: "out/one"), draft, name: "adopted-1", known: nil, isUnchanged: { false })
    guard case .changed = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: base + "/checkpoints").isEmpty)
  }
}
