import Checkpoints
import Foundation
import POSIX
import SystemPackage
import Testing

/// Files of other programs, whole and cut off at any byte.
@Suite struct FileCompletenessTests {
  private let directory = NSTemporaryDirectory() + "holdfast-completeness-" + UUID().uuidString

  private func fault(_ bytes: [UInt8], _ name: String) throws -> String? {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return try FileCompleteness(of: OpenFile(FilePath(path), .readOnly), named: name, thorough: true).fault
  }

  /// A zip archive with one stored entry, as of torch.
  private static func archive(_ content: [UInt8]) -> [UInt8] {
    func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> ($0 * 8) & 0xff) } }
    let checksum = content.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1
      }
    }
    let name = Array("data.pkl".utf8)
    let numbers =
      little(0, 6) + little(0, 2) + little(0, 2) + little(Int(~checksum), 4) + little(content.count, 4)
      + little(content.count, 4) + little(name.count, 2) + little(0, 2)
    // Version and flags, method, time, date, checksum, sizes, lengths.
    let local = little(0x0403_4b50, 4) + numbers + name + content
    let central =
      little(0x0201_4b50, 4) + little(0, 2) + numbers + little(0, 2) + little(0, 2) + little(0, 2)
      + little(0, 4) + little(0, 4) + name
    let end =
      little(0x0605_4b50, 4) + little(0, 4) + little(1, 2) + little(1, 2) + little(central.count, 4)
      + little(local.count, 4) + little(0, 2)
    return local + central + end
  }

  @Test func archives() throws {
    let whole = Self.archive(Array("some weights".utf8))
    #expect(try fault(whole, "a.pt") == nil)
    for count in [1, 3, 30, 50, whole.count - 22, whole.count - 1] {
      #expect(try fault(Array(whole[..<count]), "a.pt") != nil, "\(count) bytes")
    }
    // Replaced in place up to here: the older directory is still at the end.
    var mixed = whole
    mixed[40] ^= 1
    #expect(try fault(mixed, "a.pt") == "an entry of its zip archive is damaged: its checksum differs")
  }

  /// Damage anywhere is found or harmless, and never ends the process.
  @Test func damagedArchives() throws {
    let whole = Self.archive(Array(repeating: 7, count: 300))
    for offset in whole.indices {
      for bit in [UInt8(1), 0x80] {
        var bytes = whole
        bytes[offset] ^= bit
        _ = try fault(bytes, "a.ckpt")
      }
    }
  }

  @Test func tensors() throws {
    let header = Array(#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.utf8)
    let whole = [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + Array(repeating: 1, count: 8)
    #expect(try fault(whole, "model.safetensors") == nil)
    for count in [4, 8, 20, whole.count - 1] {
      #expect(try fault(Array(whole[..<count]), "model.safetensors") != nil, "\(count) bytes")
    }
  }

  @Test func otherFiles() throws {
    #expect(try fault([], "state.cpt") == "it is empty")
    #expect(try fault(Array(repeating: 0, count: 4096), "state.cpt") == "it begins with zeros")
    #expect(try fault(Array("anything".utf8), "state.cpt") == nil)
    var hdf5: [UInt8] =
      [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 2, 8, 8, 0] + Array(repeating: 0xff, count: 16)
    hdf5[12..<20] = [0, 0, 0, 0, 0, 0, 0, 0]
    hdf5 += [200, 0, 0, 0, 0, 0, 0, 0] + Array(repeating: 1, count: 164)
    #expect(hdf5.count == 200)
    #expect(try fault(hdf5, "a.h5") == nil)
    #expect(try fault(Array(hdf5[..<150]), "a.h5") == "it has 150 of 200 bytes")
  }
}
