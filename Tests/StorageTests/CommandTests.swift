import Checkpoints
import Glibc
import POSIX
import Reporting
import Storage
import SystemPackage
import TestSupport
import Testing

/// A program of the user as storage.
@Suite struct CommandTests {
  private static let environment = ["PATH=/usr/bin:/bin", "STORE_TOKEN=sesame"]

  private static func script(_ text: String, in place: Place) throws -> CommandStorage {
    let path = place.path("command")
    try FileSystem.replace(path, with: Array(text.utf8), durable: false, mode: 0o755)
    let store = "STORE=\(place.path("store"))"
    return CommandStorage([path.string], environment: environment + [store], timeout: .seconds(30))
  }

  /// The example in *Formats*.
  private static func example() throws -> String {
    let sources = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let page = sources.appending("Sources").appending("Holdfast").appending("Documentation.docc")
    let text = String(decoding: try FileSystem.read(page.appending("Formats.md")), as: UTF8.self)
    let begin = try #require(text.firstRange(of: "```sh\n#!/bin/sh\n# Stores checkpoints"))
    let rest = text[begin.lowerBound...].dropFirst("```sh\n".count)
    return String(rest[..<(try #require(rest.firstRange(of: "\n```"))).lowerBound]) + "\n"
  }

  @Test func exampleStoresAndLoads() throws {
    let place = try Place()
    let storage = try Self.script(try Self.example(), in: place)
    #expect(try storage.list(isCancelled: never) == StorageListing())
    let source = try place.publish(step: 5)
    try storage.save(source, as: key("attempt-1-0a/step-5"), Transfer())
    try storage.save(source, as: key("attempt-1-0a/step-5"), Transfer())
    let listed = try storage.list(isCancelled: never).checkpoints
    #expect(listed.map(\.key.text) == ["attempt-1-0a/step-5"] && listed.map(\.step) == [5])
    try storage.load(key("attempt-1-0a/step-5"), into: place.path("step-5"), Transfer())
    #expect(try contents(place.path("step-5")) == contents(source))
    let missing = #expect(throws: StorageError.self) {
      try storage.load(key("attempt-1-0a/step-6"), into: place.path("step-6"), Transfer())
    }
    #expect(missing?.code == .io && missing?.why == "no checkpoint attempt-1-0a/step-6 (exit status 1)")
    // Damage in the store is found when it is loaded.
    try flip(place.path("store/attempt-1-0a/step-5/state.safetensors"), at: 100)
    let damaged = #expect(throws: StorageError.self) {
      try storage.load(key("attempt-1-0a/step-5"), into: place.path("x"), Transfer())
    }
    #expect(damaged?.code == .damaged)
    try storage.remove(key("attempt-1-0a/step-5"), isCancelled: never)
    try storage.remove(key("attempt-1-0a/step-5"), isCancelled: never)
    #expect(try storage.list(isCancelled: never) == StorageListing())
    #expect(try FileSystem.list(place.root) == ["checkpoints", "command", "step-5", "store"])
  }

  @Test func failureIsReportedWithoutCredentials() throws {
    let place = try Place()
    let storage = try Self.script(
      "#!/bin/sh\necho first >&2\necho \"cannot log in with $STORE_TOKEN\" >&2\necho >&2\nexit 3\n", in: place
    )
    let source = try place.publish(step: 5)
    for call in [
      { try storage.save(source, as: key("a/b"), Transfer()) },
      { try storage.load(key("a/b"), into: place.path("x"), Transfer()) },
      { _ = try storage.list(isCancelled: never) }, { try storage.remove(key("a/b"), isCancelled: never) },
    ] as [() throws -> Void] {
      let error = #expect(throws: StorageError.self) { try call() }
      #expect(error?.code == .io && error?.why == "cannot log in with … (exit status 3)")
    }
    #expect(try FileSystem.list(place.root) == ["checkpoints", "command"])
    let killed = #expect(throws: StorageError.self) {
      try Self.script("#!/bin/sh\nkill -9 $$\n", in: place).remove(key("a/b"), isCancelled: never)
    }
    #expect(killed?.why == "it printed no reason (killed by SIGKILL)")
    let without = CommandStorage(["/nonexistent/program"], environment: Self.environment)
    let missing = #expect(throws: StorageError.self) { _ = try without.list(isCancelled: never) }
    #expect(missing?.code == .program && missing?.what == "cannot run /nonexistent/program")
  }

  @Test func hangingProgramIsCancelledWithItsChildren() throws {
    let place = try Place()
    let storage = try Self.script(
      "#!/bin/sh\n[ $1 = list ] || { sleep 1000 & echo $$ > \"$STORE\"; wait; }\ntrap '' TERM\nsleep 1000\n",
      in: place)
    let source = try place.publish(step: 5)
    let mark = place.path("store")
    for call in [
      { try storage.save(source, as: key("a/b"), Transfer(isCancelled: { FileSystem.exists(mark) })) },
      {
        try storage.load(
          key("a/b"), into: place.path("x"), Transfer(isCancelled: { FileSystem.exists(mark) }))
      },
    ] as [() throws -> Void] {
      let error = #expect(throws: StorageError.self) { try call() }
      #expect(error?.code == .cancelled)
      // The mark may not be complete when it exists.
      if let group = pid_t(String(decoding: try FileSystem.read(mark), as: UTF8.self).filter(\.isNumber)) {
        #expect(ends(group))
      }
      try FileSystem.remove(mark)
    }
    #expect(try FileSystem.list(place.root) == ["checkpoints", "command"])
    let impatient = CommandStorage(
      [place.path("command").string], environment: Self.environment, timeout: .milliseconds(200))
    let error = #expect(throws: StorageError.self) { _ = try impatient.list(isCancelled: never) }
    #expect(error?.code == .unreachable)
  }

  @Test func listsAreReadLineByLineAndGarbageIsRejected() throws {
    let place = try Place()
    func list(_ text: String) throws -> [StoredCheckpoint] {
      try FileSystem.replace(place.path("list"), with: Array(text.utf8), durable: false)
      return try Self.script("#!/bin/sh\ncat '\(place.path("list"))'\n", in: place).list(isCancelled: never)
        .checkpoints
    }
    #expect(try list("") == [])
    #expect(try list("b/step-2\r\n\na\n").map(\.key.text) == ["a", "b/step-2"])
    try place.publish(step: 5)
    let manifest = try FileSystem.read(place.source.path(of: "step-5").appending("manifest.json"))
    let line = String(decoding: manifest.filter { $0 != 0x0a }, as: UTF8.self)
    let full = try list("{\"key\":\"a/b\",\"bytes\":17,\"manifest\":\(line)}\n{\"key\":\"c\"}\n")
    #expect(full.map(\.step) == [5, nil] && full.map(\.bytes) == [17, nil])
    #expect(full.first?.manifest == place.source.verify("step-5", thorough: true).manifest)
    for garbage in [
      "../x\n", "a b\n", "a\n\0\n", "{\"key\":1}\n", "{\n", "[]\n", "\u{1b}[31m\n", "ok\n<html>\n",
    ] {
      let error = #expect(throws: StorageError.self, "\(garbage)") { _ = try list(garbage) }
      #expect(error?.code == .program)
    }
  }

  /// Exit status 0 from a program that does nothing.
  @Test func saveThatIsNotListedIsAnError() throws {
    let place = try Place()
    let storage = try Self.script("#!/bin/sh\nexit 0\n", in: place)
    let error = #expect(throws: StorageError.self) {
      try storage.save(try place.publish(step: 5), as: key("a/b"), Transfer())
    }
    #expect(error?.code == .damaged)
    let loading = #expect(throws: StorageError.self) {
      try storage.load(key("a/b"), into: place.path("x"), Transfer())
    }
    #expect(loading?.code == .damaged && loading?.what == "manifest.json: missing")
  }
}
