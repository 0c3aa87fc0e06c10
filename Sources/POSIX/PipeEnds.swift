import CSpawn
import SystemPackage

/// pipe2(2) with both ends close-on-exec.
public struct PipeEnds {
  public let reading: OpenFile
  public let writing: OpenFile

  public init() throws(POSIXError) {
    var ends: (CInt, CInt) = (-1, -1)
    try posix("pipe2") {
      withUnsafeMutableBytes(of: &ends) { hf_pipe($0.bindMemory(to: CInt.self).baseAddress) }
    }
    reading = OpenFile(adopting: ends.0, path: "pipe")
    writing = OpenFile(adopting: ends.1, path: "pipe")
  }
}
