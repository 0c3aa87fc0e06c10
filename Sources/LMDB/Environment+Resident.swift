import Glibc

extension Environment {
  /// Releases the map's resident pages; they stay in the page cache and are mapped again on access. Otherwise the
  /// resident memory of a long-running writer would grow to the size of the file. Safe at any moment: the map is
  /// shared and never written.
  public func releaseResidentPages() {
    pthread_mutex_lock(gate)
    defer { pthread_mutex_unlock(gate) }
    var status = stat()
    guard handle != nil, stat(filePath, &status) == 0, let maps = fopen("/proc/self/maps", "re")
    else { return }
    defer { fclose(maps) }
    // start-end permissions offset device inode path. LMDB has no function that returns the map's address.
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    let inode = "\(status.st_ino)"
    let device = status.st_dev
    while getline(&line, &capacity, maps) > 0, let text = line.map({ String(cString: $0) }) {
      let fields = text.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      guard fields.count >= 5, fields[4] == inode, Self.isDevice(fields[3], device) else { continue }
      let range = fields[0].split(separator: "-").compactMap { UInt(String($0), radix: 16) }
      guard range.count == 2, range[0] < range[1] else { continue }
      // A failure is harmless: the pages stay accounted.
      _ = madvise(UnsafeMutableRawPointer(bitPattern: range[0]), Int(range[1] - range[0]), MADV_DONTNEED)
    }
  }

  /// - Parameter text: `major:minor` in hexadecimal.
  private static func isDevice(_ text: Substring, _ device: dev_t) -> Bool {
    let numbers = text.split(separator: ":").compactMap { UInt32(String($0), radix: 16) }
    // As in gnu_dev_makedev(3), which is a macro.
    let high = UInt64(device) >> 32
    let major = (UInt64(device) >> 8 & 0xfff) | (high & ~0xfff)
    let minor = (UInt64(device) & 0xff) | (UInt64(device) >> 12 & 0xffff_ff00)
    return numbers.count == 2 && UInt64(numbers[0]) == major && UInt64(numbers[1]) == minor
  }
}
