import Glibc
import Holdfast

/// The faulty trainer's state: a number, and where a copy is to break a tensor.
final class Counter: Stateful {
  var total: Int64 = 0
  private var ballast: [Float] = []
  private var copiesLeft = 0
  private var isDue: () -> Bool = { false }

  var state: StateValue {
    copiesLeft -= 1
    if copiesLeft == 0, isDue() { breakMiddle() }
    if ballast.isEmpty { return .object(["total": .integer(total)]) }
    return .object(["total": .integer(total), "ballast": .tensor(Tensor(ballast))])
  }

  func load(_ state: StateValue) throws(CheckpointError) {
    if let marker = loadMarker, (1...deadlyLoads).contains(where: { Self.once("\(marker)-\($0)") }) {
      kill(getpid(), SIGKILL)
    }
    total = try state.value("total").integer()
  }

  private var deadlyLoads = 1
  private var loadMarker: String?

  /// Lets the first `count` loads of all attempts end the process.
  func dieInLoads(_ count: Int, marker: String) {
    deadlyLoads = count
    loadMarker = marker
  }

  /// Whether no attempt came here before.
  static func once(_ marker: String) -> Bool {
    let descriptor = open(marker, O_CREAT | O_EXCL | O_WRONLY, 0o600)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
  }

  /// Lets the copy with this number, from 1, end the process half-way, and the supervisor with it, so
  /// that nobody changes what is left behind.
  func breakCopy(_ number: Int, if isDue: @escaping () -> Bool) {
    copiesLeft = number
    self.isDue = isDue
    ballast = Array(repeating: 1, count: 1 << 20)
    signal(SIGSEGV) { _ in
      kill(getppid(), SIGKILL)
      kill(getpid(), SIGKILL)
    }
  }

  /// Takes a page in the middle of the tensor's memory away: whoever copies it comes that far.
  private func breakMiddle() {
    ballast.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      let middle = (UInt(bitPattern: base) + UInt(bytes.count / 2)) & ~4095
      mprotect(UnsafeMutableRawPointer(bitPattern: middle), 4096, PROT_NONE)
    }
  }
}
