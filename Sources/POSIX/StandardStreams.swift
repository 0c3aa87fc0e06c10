import Glibc

/// Descriptors 0 to 2, which whoever starts a program may have closed (`holdfast run … >&-`).
public enum StandardStreams {
  /// Opens `/dev/null` in the place of those that are closed. To be called before anything else is opened: the
  /// next file would be standard output, the trainer would inherit it, and its lines would be written over it.
  public static func fillClosed() {
    var descriptor: CInt = 0
    // open(2) gives the lowest number that is free. Where there is no /dev/null, nothing can be done, nor said.
    while (0...2).contains(descriptor) { descriptor = open("/dev/null", O_RDWR | O_NOCTTY) }
    if descriptor > 2 { close(descriptor) }
  }
}
