import Glibc

/// Signal dispositions of this process. The inherited ones are remembered, as a trainer should start with them, as
/// if it had been started directly.
public enum SignalDispositions {
  /// Signals that were ignored at the start of this process; bit 0 is signal 1. Evaluated before the first `set`.
  public static let inherited: UInt64 = {
    var mask: UInt64 = 0
    for number in 1...CInt(64) {
      var action = sigaction()
      guard sigaction(number, nil, &action) == 0, action.__sigaction_handler.sa_handler != nil else {
        continue
      }
      // SIG_IGN is the function at address 1.
      if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1 {
        mask |= 1 << UInt64(number - 1)
      }
    }
    return mask
  }()

  /// Whether this process was started with `signal` ignored: by nohup(1), or a shell's `&` without job control.
  public static func isInheritedIgnored(_ signal: CInt) -> Bool { inherited >> UInt64(signal - 1) & 1 == 1 }

  public static func ignore(_ signals: [CInt]) { set(signals, SIG_IGN) }
  public static func setDefault(_ signals: [CInt]) { set(signals, SIG_DFL) }

  private static func set(_ signals: [CInt], _ handler: sighandler_t?) {
    // Evaluate it before the dispositions change.
    _ = inherited
    for number in signals { signal(number, handler) }
  }
}
