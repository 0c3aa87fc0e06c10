import Checkpoints
import Glibc
import POSIX
import Reporting
import SystemPackage
import Testing

/// Only the named checkpoint is removed, and nothing outside of the directory.
struct RemovalTests {
  @Test func removesOneCheckpoint() throws {
    let place = try Place()
    for step in UInt64(1)...3 { try place.publish(step: step) }
    try place.checkpoints.remove("step-2")
    #expect(try place.entries() == ["step-1", "step-3"])
  }

  @Test func interruptedRemovalIsCompleted() throws {
    let place = try Place()
    try place.publish(step: 1)
    try FileSystem.makeDirectories(place.checkpoints.directory.appending(".removing-step-1/x"))
    try place.checkpoints.remove("step-1")
    #expect(try place.entries() == [])
  }

  @Test(arguments: [
    "..", ".", "", "../outside", "step-1/../../outside", ".publishing-x", "/etc", "step-2", "a\nb",
    ".hidden",
  ])
  func invalidNamesAreRejected(name: String) throws {
    let place = try Place()
    try place.publish(step: 1)
    try FileSystem.makeDirectories(place.root.appending("outside"))
    let error = #expect(throws: CheckpointError.self) { try place.checkpoints.remove(name) }
    #expect(error?.code == .missing)
    #expect(try place.entries() == ["step-1"])
    #expect(try FileSystem.list(place.root) == ["checkpoints", "outside"])
  }

  /// A link in place of a checkpoint, of a leftover, or of a file in one.
  @Test func linksAreNotFollowed() throws {
    let place = try Place()
    try place.publish(step: 1)
    let outside = place.root.appending("outside")
    try FileSystem.makeDirectories(outside)
    try FileSystem.replace(outside.appending("precious"), with: [1], durable: false)
    for name in ["step-9", ".removing-a", ".publishing-b", "step-1/c", ".removing-step-1"] {
      symlink(outside.string, place.checkpoints.directory.appending(name).string)
    }
    symlink("/nowhere", place.checkpoints.directory.appending(".publishing-dangling").string)
    try place.checkpoints.removeLeftovers()
    try place.checkpoints.remove("step-9")
    try place.checkpoints.remove("step-1")
    #expect(try place.entries() == [])
    #expect(try FileSystem.list(outside) == ["precious"])
  }

  @Test func publishingDoesNotFollowLinks() throws {
    let place = try Place()
    let outside = place.root.appending("outside")
    try FileSystem.makeDirectories(outside)
    try FileSystem.makeDirectories(place.checkpoints.directory)
    for (name, target) in [
      ("step-1", outside.string), ("step-2", "/nowhere"), (".publishing-cut", outside.string),
    ] {
      symlink(target, place.checkpoints.directory.appending(name).string)
    }
    #expect(try place.publish(step: 1, cut: "cut").name == "step-1-cut")
    #expect(try place.publish(step: 2, cut: "cut").name == "step-2-cut")
    #expect(try FileSystem.list(outside) == [])
  }

  @Test func onlyLeftoversAreRemoved() throws {
    let place = try Place()
    try place.checkpoints.removeLeftovers()
    try place.publish(step: 1)
    for name in [".publishing-1/x/y", ".removing-step-2", ".hidden", "notes"] {
      try FileSystem.makeDirectories(place.checkpoints.directory.appending(name))
    }
    try place.checkpoints.removeLeftovers()
    #expect(try place.entries() == [".hidden", "notes", "step-1"])
    #expect(try place.checkpoints.names() == ["notes", "step-1"])
    #expect(
      place.checkpoints.verify("notes", thorough: true) == .damaged(file: "manifest.json", what: "missing"))
  }
}
