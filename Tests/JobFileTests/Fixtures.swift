import SystemPackage

@testable import JobFile

/// A file that sets everything and uses most of TOML's syntax.
let complete = """
  # comment
  command = ["python3", 'train.py', \"\"\"--x\"\"\"] # and one here
  working-directory = "/srv/train"

  [job]
  name = "resnet50"
  state-dir = "state"
  "run-dir" = '/run/x'

  [checkpoint]
  interval = "5min"
    stage-interval = "auto"

  [restart] # why not
  max-stalls = 0x3
  skip-batch-after = 1_0
  require-identical = true

  [stop]
  grace = "1h 30min"
  [hang]
  step-timeout = "off"
  [preemption]
  source = "aws"
  [metrics]
  listen = 9_400
  file = "x.prom"
  [environment]
  A = "x # no comment"
  "B.c" = 'y'
  "Ü" = "ü"

  """

/// The problems of `text`, as `line:column: what`.
func problems(_ text: String, needsCommand: Bool = true) -> [String] {
  problems(bytes: Array(text.utf8), needsCommand: needsCommand).map(\.description)
}

func problems(bytes: [UInt8], needsCommand: Bool = true) -> [Problem] {
  do {
    _ = try JobFile(bytes: bytes, path: "/etc/holdfast/x.toml", needsCommand: needsCommand)
    return []
  } catch {
    return error.problems
  }
}

func settings(_ text: String, _ arguments: [Resolution.Argument] = []) throws -> Resolution {
  let file = try JobFile(bytes: Array(text.utf8), path: "/etc/holdfast/x.toml", needsCommand: false)
  return Resolution(file: file, arguments: arguments)
}

/// SplitMix64, for reproducible mutations.
struct Random: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
