import Glibc
import POSIX
import Synchronization
import SystemPackage
import Testing

@testable import Checkpoints

@Suite struct PublishTests {
  private func withCheckpoints(_ body: (LocalCheckpoints, FilePath) throws -> Void) throws {
    var template = Array("/tmp/holdfast-unit.XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    let path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    defer { try? FileSystem.removeTree(path) }
    try body(LocalCheckpoints(directory: path.appending("checkpoints")), path)
  }

  private func manifest(_ step: UInt64, cut: String = "00112233445566778899aabbccddeeff") -> Manifest {
    Manifest(
      job: "j", jobID: "00", attempt: 1, generation: 1, cutID: cut, step: step, epoch: 0, batch: 0,
      samples: 0,
      createdAt: "2026-01-01T00:00:00.000Z", metrics: ["loss": 0.5, "bad": .nan])
  }

  @discardableResult
  private func publish(
    _ checkpoints: LocalCheckpoints, _ step: UInt64, cut: String = "00112233445566778899aabbccddeeff",
    size: Int = 10_000
  ) throws -> String {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
    defer { bytes.deallocate() }
    bytes.initializeMemory(as: UInt8.self, repeating: UInt8(step % 251))
    return try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest(step, cut: cut)).name
  }

  @Test(arguments: [0, 1, 4095, 4096, 4097, 9_000_001]) func whatIsPublishedVerifies(size: Int) throws {
    try withCheckpoints { checkpoints, _ in
      let name = try publish(checkpoints, 7, size: size)
      #expect(name == "step-7")
      let manifest = try #require(checkpoints.verify(name, thorough: true).manifest)
      #expect(manifest.files.first?.bytes == UInt64(size) && manifest.metrics == ["loss": 0.5])
      #expect(
        try FileSystem.read(checkpoints.path(of: name).appending("state.safetensors")).allSatisfy { $0 == 7 })
    }
  }

  @Test func theSameStepAgainGetsANameOfItsOwn() throws {
    try withCheckpoints { checkpoints, _ in
      try publish(checkpoints, 7)
      #expect(try publish(checkpoints, 7, cut: "ffeeddccbbaa99887766554433221100") == "step-7-ffeeddcc")
      #expect(try checkpoints.names() == ["step-7", "step-7-ffeeddcc"])
    }
  }

  /// Each system call of publishing fails in turn: what is listed afterwards is whole.
  @Test(arguments: ["mkdir", "open", "posix_fallocate", "write", "fsync", "renameat2", "rename"])
  func aFailingCallLeavesOnlyWholeCheckpoints(operation: String) throws {
    for call in 0..<12 {
      try withCheckpoints { checkpoints, root in
        try publish(checkpoints, 1)
        let count = Atomic(0)
        let failing: Faults.Injector = { name, path in
          guard name == operation, let path, path.string.hasPrefix(root.string) else { return nil }
          return count.wrappingAdd(1, ordering: .relaxed).oldValue == call ? .ioError : nil
        }
        do {
          _ = try Faults.with(failing) {
            try publish(checkpoints, 2, cut: "ffeeddccbbaa99887766554433221100")
          }
        } catch {
          #expect(error is CheckpointError)
        }
        let names = try checkpoints.names()
        #expect(names.contains("step-1"))
        for name in names {
          #expect(checkpoints.verify(name, thorough: true).manifest != nil, "\(operation) \(call)")
        }
        try checkpoints.removeLeftovers()
        #expect(try FileSystem.list(checkpoints.directory) == names)
      }
    }
  }

  @Test func aFullDiskSaysWhatIsNeeded() throws {
    try withCheckpoints { checkpoints, root in
      let full: Faults.Injector = { name, path in
        name == "posix_fallocate" && path?.string.hasPrefix(root.string) == true ? .noSpace : nil
      }
      do {
        _ = try Faults.with(full) { try publish(checkpoints, 2) }
        Issue.record("published on a full disk")
      } catch let error as CheckpointError {
        #expect(error.code == .noRoom && error.what.contains("it needs 10000 bytes"))
      }
    }
  }

  @Test func damageIsNamed() throws {
    try withCheckpoints { checkpoints, _ in
      let name = try publish(checkpoints, 3)
      let state = checkpoints.path(of: name).appending("state.safetensors")
      var bytes = try FileSystem.read(state)
      bytes[5000] ^= 1
      try FileSystem.replace(state, with: bytes, durable: false)
      #expect(checkpoints.verify(name, thorough: false).manifest != nil)
      guard case .damaged(let file, let what) = checkpoints.verify(name, thorough: true) else {
        Issue.record("a flipped bit verified")
        return
      }
      #expect(file == "state.safetensors" && what.hasPrefix("digest "))
      try FileSystem.replace(state, with: Array(bytes.dropLast()), durable: false)
      #expect(
        checkpoints.verify(name, thorough: false)
          == .damaged(file: "state.safetensors", what: "9999 bytes of 10000"))
      try FileSystem.remove(state)
      #expect(
        checkpoints.verify(name, thorough: false) == .damaged(file: "state.safetensors", what: "missing"))
    }
  }

  @Test(arguments: ["", ".", "..", "../x", "a/b", ".hidden", "a\nb"]) func namesStayInside(name: String)
    throws
  {
    try withCheckpoints { checkpoints, _ in
      #expect(!LocalCheckpoints.isValid(name))
      #expect(throws: CheckpointError.self) { try checkpoints.remove(name) }
      #expect(checkpoints.verify(name, thorough: true).manifest == nil)
    }
  }

  @Test func removingFollowsNoLink() throws {
    try withCheckpoints { checkpoints, root in
      let name = try publish(checkpoints, 4)
      let outside = root.appending("outside")
      try FileSystem.replace(outside, with: [1], durable: false)
      symlink(root.string, checkpoints.path(of: name).appending("link").string)
      try checkpoints.remove(name)
      #expect(FileSystem.exists(outside) && !FileSystem.exists(checkpoints.path(of: name)))
    }
  }

  @Test func aCancelledPublicationLeavesNothing() throws {
    try withCheckpoints { checkpoints, _ in
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
      defer { bytes.deallocate() }
      #expect(throws: CheckpointError.self) {
        try checkpoints.publish(image: UnsafeRawBufferPointer(bytes), manifest(1)) { true }
      }
      let left = try FileSystem.list(checkpoints.directory)
      #expect(left.isEmpty)
    }
  }
}
