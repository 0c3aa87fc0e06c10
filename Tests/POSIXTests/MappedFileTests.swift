import Foundation
import POSIX
import SystemPackage
import Testing

/// Pages that are in memory are mapped without waiting for a disk.
@Suite struct MappedFileTests {
  private static let bytes = 10 << 20

  /// Calls `body` with a file on tmpfs, which is removed afterwards.
  private func withFile(_ body: (OpenFile) throws -> Void) throws {
    let path = FilePath("/dev/shm/holdfast-test-\(UUID().uuidString)")
    let file = try OpenFile(path, .readWrite, create: .always(mode: 0o600))
    defer { try? FileSystem.remove(path) }
    try file.truncate(to: Self.bytes)
    try body(file)
  }

  @Test func residentPagesAreMapped() throws {
    try withFile { file in
      try file.allocate(bytes: Self.bytes)
      file.touchPages(bytes: Self.bytes)
      let mapping = try MappedFile(file, count: Self.bytes, access: .readOnly)
      #expect(mapping.populateResident(from: 0) == Self.bytes)
    }
  }

  /// As far as a reader got.
  @Test func pagesThatAreNotInMemoryAreLeft() throws {
    try withFile { file in
      try file.write(all: [UInt8](repeating: 1, count: 5 << 20))
      let mapping = try MappedFile(file, count: Self.bytes, access: .readOnly)
      let end = mapping.populateResident(from: 0)
      #expect(end == 4 << 20)
      #expect(mapping.populateResident(from: end) == end)
      try file.allocate(bytes: Self.bytes)
      file.touchPages(bytes: Self.bytes)
      #expect(mapping.populateResident(from: end) == Self.bytes)
      #expect(mapping.bytes.prefix(5 << 20).allSatisfy { $0 == 1 })
    }
  }
}
