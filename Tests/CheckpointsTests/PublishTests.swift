import Checkpoints
import Glibc
import POSIX
import Reporting
import Synchronization
import SystemPackage
import Testing

/// Publishing, verifying and loading checkpoints.
struct PublishTests {
  // Sizes around the block and the chunk, as the last part is written differently.
  @Test(arguments: [0, 1, 900, 1024, 50_000, (8 << 20) / 4 + 1])
  func publishedImagesVerify(floats: Int) throws {
    let place = try Place()
    let bytes = image(step: 7, floats: floats)
    let published = try place.publish(step: 7, floats: floats)
    #expect(published.name == "step-7")
    #expect(try place.entries() == ["step-7"])
    #expect(place.checkpoints.verify("step-7", thorough: true) == .verified(published.manifest))
    #expect(published.bytes == (try fileSizes(place, "step-7")))
    #expect(published.digest == Digest(of: bytes))
    let loaded = try place.checkpoints.load("step-7", thorough: true)
    #expect(loaded.withImage { $0.elementsEqual(bytes) })
    #expect(loaded.manifest.ranks.first?.loopState == (try read(bytes)).loop)
    #expect(loaded.manifest.metrics == ["loss": 0.5])
  }

  /// Images of exactly these sizes: multiples of blocks and chunks, and sizes near them.
  @Test(arguments: [4092, 4096, 4100, 8192, (8 << 20) - 4, 8 << 20, (8 << 20) + 4096])
  func imagesOfExactSizesVerify(bytes: Int) throws {
    let place = try Place()
    // The header grows with the digits of the size, in steps of eight.
    let floats = (0...64).map { (bytes - 256) / 4 - $0 }.first { image(step: 7, floats: $0).count == bytes }
    let published = try place.publish(step: 7, floats: try #require(floats))
    #expect(published.manifest.files.first?.bytes == UInt64(bytes))
    #expect(place.checkpoints.verify("step-7", thorough: true) == .verified(published.manifest))
  }

  @Test func unalignedImagesArePublished() throws {
    let place = try Place()
    let aligned = AlignedImage([0] + image(step: 3, floats: 5000))
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(aligned.bytes)[1...])
    let published = try place.checkpoints.publish(image: bytes, .draft(step: 3))
    #expect(place.checkpoints.verify("step-3", thorough: true) == .verified(published.manifest))
  }

  @Test func existingNameIsExtendedByTheCut() throws {
    let place = try Place()
    let cuts = ["aaaaaaaa11", "bbbbbbbb11", "bbbbbbbb22"]
    let names = try cuts.map { try place.publish(step: 5, cut: $0).name }
    #expect(names == ["step-5", "step-5-bbbbbbbb", "step-5-bbbbbbbb22"])
    #expect(try place.checkpoints.names() == names.sorted())
  }

  @Test func sameCutIsNotWrittenTwice() throws {
    let place = try Place()
    let first = try place.publish(step: 5, cut: "aaaaaaaa")
    #expect(try place.publish(step: 5, cut: "aaaaaaaa") == first)
    #expect(try place.entries() == ["step-5"])
    // A damaged checkpoint does not count as published and is kept.
    try flip(place.file("step-5", LocalCheckpoints.stateName), at: 200)
    #expect(try place.publish(step: 5, cut: "aaaaaaaa").name == "step-5-aaaaaaaa")
    #expect(try place.checkpoints.names() == ["step-5", "step-5-aaaaaaaa"])
  }

  @Test func invalidImagesAreRejected() throws {
    let place = try Place()
    let whole = image(step: 5)
    for bytes: [UInt8] in [Array(whole.dropLast()), [1, 2, 3], []] {
      let error = #expect(throws: CheckpointError.self) {
        try bytes.withUnsafeBytes { try place.checkpoints.publish(image: $0, .draft(step: 5)) }
      }
      #expect(error?.code == .damaged)
    }
    for cut in ["../../x", "", "a/b", ".x"] {
      let error = #expect(throws: CheckpointError.self) { try place.publish(step: 5, cut: cut) }
      #expect(error?.code == .unsupported)
    }
    #expect(!FileSystem.exists(place.checkpoints.directory))
  }

  @Test func cancellingLeavesNothing() throws {
    let place = try Place()
    try place.publish(step: 1)
    let big = AlignedImage(image(step: 2, floats: 6 << 20))
    for allowed in 0..<3 {
      let asked = Atomic(0)
      let error = #expect(throws: CheckpointError.self) {
        try place.checkpoints.publish(
          image: UnsafeRawBufferPointer(big.bytes), .draft(step: 2),
          isCancelled: { asked.add(1, ordering: .relaxed).oldValue >= allowed })
      }
      #expect(error?.code == .cancelled)
      #expect(try place.entries() == ["step-1"])
    }
  }

  /// The image is a mapping of 1 TiB that uses no memory.
  @Test func missingSpaceIsReportedWithSizes() throws {
    let place = try Place()
    let bytes = 1 << 50
    let free = try FileSystem.availableBytes(place.root)
    try #require(free < bytes, "a disk of a pebibyte")
    let loop = #"{\"step\":1,\"epoch\":0,\"batch\":0,\"samples\":0,\"parts\":[]}"#
    var header = Array(
      #"{"__metadata__":{"holdfast.loop_state":"\#(loop)"},"a":{"dtype":"U8","shape":[\#(bytes)],"data_offsets":[0,\#(bytes)]}}"#
        .utf8)
    while header.count % 8 != 0 { header.append(0x20) }
    let count = 8 + header.count + bytes
    // More than can be mapped; only its beginning is accessed.
    let page = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { page.deallocate() }
    page.storeBytes(of: UInt64(header.count).littleEndian, as: UInt64.self)
    UnsafeMutableRawBufferPointer(rebasing: page[8...]).copyBytes(from: header)
    let error = #expect(throws: CheckpointError.self) {
      try place.checkpoints.publish(
        image: UnsafeRawBufferPointer(start: page.baseAddress, count: count), .draft(step: 1))
    }
    #expect(error?.code == .noRoom)
    #expect(error?.what.hasPrefix("no space for a checkpoint: it needs \(count) bytes, ") == true)
    #expect(error?.what.hasSuffix(" are free") == true)
    #expect(try place.entries() == [])
  }

  private func fileSizes(_ place: Place, _ name: String) throws -> UInt64 {
    try FileSystem.list(place.checkpoints.path(of: name)).reduce(0) {
      $0 + UInt64(try OpenFile(place.file(name, $1), .readOnly).size())
    }
  }

  // MARK: Damage

  private func verdict(_ spoil: (Place) throws -> Void, thorough: Bool = true) throws -> Verdict {
    let place = try Place()
    try place.publish(step: 1)
    try spoil(place)
    return place.checkpoints.verify("step-1", thorough: thorough)
  }

  @Test func flippedBitInAnyFileIsDetected() throws {
    for name in [LocalCheckpoints.stateName, LocalCheckpoints.manifestName] {
      for offset in [0, 50, 150] {
        var digests: (String, String) = ("", "")
        let found = try verdict { place in
          let path = place.file("step-1", name)
          digests.0 = Digest(of: try FileSystem.read(path)).hexadecimal
          try flip(path, at: offset)
          digests.1 = Digest(of: try FileSystem.read(path)).hexadecimal
        }
        let what = "digest \(digests.1.prefix(12))…, expected \(digests.0.prefix(12))…"
        #expect(found == .damaged(file: name, what: what), "byte \(offset)")
      }
    }
    for offset in [0, 31, 32, 33, 34, 60, 70] {
      let found = try verdict { try flip($0.file("step-1", LocalCheckpoints.digestsName), at: offset) }
      #expect(found.manifest == nil, "byte \(offset) of the digests")
    }
    // Found only by a thorough verification.
    let quick = try verdict(
      { try flip($0.file("step-1", LocalCheckpoints.stateName), at: 50) }, thorough: false)
    #expect(quick.manifest != nil)
  }

  @Test(arguments: [true, false]) func missingAndSpecialFilesAreDetected(thorough: Bool) throws {
    let names = [LocalCheckpoints.stateName, LocalCheckpoints.manifestName, LocalCheckpoints.digestsName]
    for name in names {
      let missing = try verdict({ try FileSystem.remove($0.file("step-1", name)) }, thorough: thorough)
      #expect(missing == .damaged(file: name, what: "missing"))
      let link = try verdict(
        { place in
          let path = place.file("step-1", name)
          try FileSystem.rename(path, to: place.root.appending("elsewhere"))
          symlink(place.root.appending("elsewhere").string, path.string)
        }, thorough: thorough)
      #expect(link == .damaged(file: name, what: "not a plain file: it is a symbolic link"))
      let pipe = try verdict(
        { place in
          try FileSystem.remove(place.file("step-1", name))
          mkfifo(place.file("step-1", name).string, 0o600)
        }, thorough: thorough)
      #expect(pipe == .damaged(file: name, what: "not a plain file: it is a named pipe"))
      let directory = try verdict(
        { place in
          try FileSystem.remove(place.file("step-1", name))
          mkdir(place.file("step-1", name).string, 0o700)
        }, thorough: thorough)
      #expect(directory == .damaged(file: name, what: "not a plain file: it is a directory"))
    }
  }

  @Test(arguments: [true, false]) func wrongSizesAreDetected(thorough: Bool) throws {
    let bytes = image(step: 1).count
    let shorter = try verdict(
      { truncate($0.file("step-1", LocalCheckpoints.stateName).string, bytes - 1) }, thorough: thorough)
    let what = "truncated to \(bytes - 1) of \(bytes) bytes"
    #expect(shorter == .damaged(file: LocalCheckpoints.stateName, what: what))
    let longer = try verdict(
      { truncate($0.file("step-1", LocalCheckpoints.stateName).string, bytes + 1) }, thorough: thorough)
    #expect(
      longer
        == .damaged(file: LocalCheckpoints.stateName, what: "\(bytes + 1) bytes instead of \(bytes)"))
    for name in [LocalCheckpoints.manifestName, LocalCheckpoints.digestsName] {
      for length in [0, 10, 90] {
        let found = try verdict({ truncate($0.file("step-1", name).string, length) }, thorough: thorough)
        #expect(found.manifest == nil, "\(name) cut to \(length)")
      }
    }
    let huge = try verdict(
      { truncate($0.file("step-1", LocalCheckpoints.manifestName).string, 1 << 40) }, thorough: thorough)
    #expect(
      huge == .damaged(file: LocalCheckpoints.manifestName, what: "\(1 << 40) bytes, which is too large"))
  }

  @Test func loadingADamagedOrMissingCheckpointFails() throws {
    let place = try Place()
    try place.publish(step: 1)
    try FileSystem.remove(place.file("step-1", LocalCheckpoints.stateName))
    let error = #expect(throws: CheckpointError.self) { try place.checkpoints.load("step-1") }
    #expect(error?.code == .damaged && error?.what == "state.safetensors: missing")
    for name in ["step-2", "../checkpoints/step-1", ""] {
      #expect(throws: CheckpointError.self) { try place.checkpoints.load(name) }
      #expect(place.checkpoints.verify(name, thorough: false).manifest == nil)
    }
  }
}
