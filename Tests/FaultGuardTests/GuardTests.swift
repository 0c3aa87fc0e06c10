import CFaultGuard
import Foundation
import Glibc
import Testing

@Suite struct GuardTests {
  private static let page = 4096

  /// A shared mapping of a memory file. Each page is filled with its number, from 1.
  private final class Mapping {
    let file: CInt
    let base: UnsafeMutableRawPointer
    let bytes: Int

    init(pages: Int) throws {
      bytes = pages * GuardTests.page
      var template = Array("/dev/shm/holdfast-guard-XXXXXX".utf8CString)
      file = mkstemp(&template)
      try #require(file >= 0)
      unlink(template)
      for page in 1...pages {
        let content = [UInt8](repeating: UInt8(truncatingIfNeeded: page), count: GuardTests.page)
        try #require(write(file, content, content.count) == content.count)
      }
      base = try #require(mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0))
      try #require(base != MAP_FAILED)
    }

    deinit {
      munmap(base, bytes)
      close(file)
    }

    func truncate(toPages pages: Int) { _ = ftruncate(file, off_t(pages * GuardTests.page)) }

    func byte(_ page: Int) -> UInt8 {
      base.load(fromByteOffset: page * GuardTests.page, as: UInt8.self)
    }
  }

  @Test func truncatedRegionReadsAsZeros() throws {
    let mapping = try Mapping(pages: 4)
    let other = try Mapping(pages: 1)
    let region = hf_guard_region_add(mapping.base, mapping.bytes)
    let bystander = hf_guard_region_add(other.base, other.bytes)
    try #require(region >= 0 && bystander >= 0)
    defer {
      hf_guard_region_remove(region)
      hf_guard_region_remove(bystander)
    }
    #expect(mapping.byte(3) == 4)
    mapping.truncate(toPages: 2)
    #expect(!hf_guard_region_was_hit(region))
    #expect(mapping.byte(2) == 0)
    #expect(mapping.byte(3) == 0)
    #expect(mapping.byte(1) == 2)
    #expect(hf_guard_region_was_hit(region))
    #expect(!hf_guard_region_was_hit(bystander))
    // Writes succeed and do not reach the file.
    mapping.base.storeBytes(of: 9, toByteOffset: 3 * Self.page, as: UInt8.self)
    #expect(mapping.byte(3) == 9)
  }

  @Test func reusedRegionIsNotMarkedAsHit() throws {
    for _ in 0..<2 * Int(HF_GUARD_REGIONS) {
      let mapping = try Mapping(pages: 1)
      let region = hf_guard_region_add(mapping.base, mapping.bytes)
      try #require(region >= 0)
      #expect(!hf_guard_region_was_hit(region))
      mapping.truncate(toPages: 0)
      #expect(mapping.byte(0) == 0)
      #expect(hf_guard_region_was_hit(region))
      hf_guard_region_remove(region)
    }
  }

  @Test func guardedCopyReturnsSignal() throws {
    let mapping = try Mapping(pages: 3)
    var copy = [UInt8](repeating: 0, count: mapping.bytes)
    #expect(hf_guard_copy(&copy, mapping.base, mapping.bytes) == 0)
    #expect(copy.last == 3)
    mapping.truncate(toPages: 1)
    for _ in 0..<3 { #expect(hf_guard_copy(&copy, mapping.base, mapping.bytes) == SIGBUS) }
    #expect(hf_guard_copy(&copy, mapping.base, Self.page) == 0)
    let nowhere = try #require(UnsafeRawPointer(bitPattern: 16))
    #expect(hf_guard_copy(&copy, nowhere, 8) == SIGSEGV)
    // A non-canonical address: the kernel reports no address with the signal.
    let absurd = try #require(UnsafeRawPointer(bitPattern: UInt(1) << 63))
    #expect(hf_guard_copy(&copy, absurd, 8) == SIGSEGV)
  }

  @Test func guardedCallCanBeLeft() {
    let status = hf_guard_call({ _ in hf_guard_leave(SIGABRT) }, nil)
    #expect(status == SIGABRT)
    #expect(hf_guard_call({ _ in }, nil) == 0)
  }

  /// Threads that add, truncate, read and remove regions concurrently, and others that fault in guarded copies.
  @Test func threadsDoNotDisturbEachOther() throws {
    let wrong = UnsafeMutablePointer<Int>.allocate(capacity: 8)
    wrong.initialize(repeating: 0, count: 8)
    defer { wrong.deallocate() }
    let results = UInt(bitPattern: wrong)
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      let count = UnsafeMutablePointer<Int>(bitPattern: results)! + thread
      for _ in 0..<100 {
        guard let mapping = try? Mapping(pages: 3) else {
          count.pointee += 1
          continue
        }
        if thread % 2 == 0 {
          let region = hf_guard_region_add(mapping.base, mapping.bytes)
          mapping.truncate(toPages: 1)
          if mapping.byte(0) != 1 || mapping.byte(2) != 0 || mapping.byte(1) != 0 { count.pointee += 1 }
          if !hf_guard_region_was_hit(region) { count.pointee += 1 }
          hf_guard_region_remove(region)
        } else {
          mapping.truncate(toPages: 1)
          var copy = [UInt8](repeating: 0, count: mapping.bytes)
          if hf_guard_copy(&copy, mapping.base, mapping.bytes) != SIGBUS { count.pointee += 1 }
        }
      }
    }
    for thread in 0..<8 { #expect(wrong[thread] == 0) }
  }

  @Test(arguments: [
    ("null", SIGSEGV, ""), ("bus", SIGBUS, ""), ("sent", SIGSEGV, ""), ("chained", SIGSEGV, "chained\n"),
    ("leave", SIGABRT, ""),
  ])
  func unguardedFaultEndsTheProcess(mode: String, signal: CInt, output: String) throws {
    let process = Process()
    process.executableURL = Self.program
    process.arguments = [mode]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let printed = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == signal)
    #expect(String(decoding: printed, as: UTF8.self) == output)
  }

  private static var program: URL {
    if let directory = ProcessInfo.processInfo.environment["HOLDFAST_TEST_BIN"] {
      return URL(fileURLWithPath: directory).appendingPathComponent("FaultyMemory")
    }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug/FaultyMemory")
  }
}
