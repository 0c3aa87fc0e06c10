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
  every-steps = 1_000
  every-epochs = 2
  save-on-train-epoch-end = true
  keep-last = 4
  keep-best = 3
  monitor = "val_loss"
  mode = "max"
  keep-every-steps = 5000
  keep-daily = 7
  weights-only = true
  save-last = true
  name = "x-{epoch:02d}"
  auto-insert-metric-name = false
  dir = "checkpoints"
  enabled = false
  adopt = "out/*.ckpt"
  adopt-marker = "done.json"
  [[checkpoint.policy]]
  every-steps = 7
  keep-last = 1
  [[checkpoint.policy]]
  every-epochs = 1

  [remote]
  storage = "s3:bucket/jobs"
  interval = "1h"
  keep-last = 9
  bandwidth = "20MiB"
  heartbeat = "30s"

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
