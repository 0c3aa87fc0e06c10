import Supervision

// The table of settings, in the order of a file. A new one needs an entry here, a property in `JobSettings`
// and, for an option, a line in `RunOptions`.
extension Setting {
  public static let all: [Setting] = [
    command, workingDirectory, environment, jobName, stateDirectory, runDirectory, checkpointInterval,
    everySteps, everyEpochs, saveOnTrainEpochEnd, keepLast, keepBest, monitor, mode, keepEverySteps,
    keepDaily, weightsOnly,
    saveLast, checkpointName, autoInsertMetricName, checkpointDirectory, checkpointsEnabled, stageInterval,
    checkpointPolicies, adopt, adoptMarker, remote, remoteInterval, remoteKeepLast, remoteBandwidth,
    remoteHeartbeat, maxStalls,
    skipBatchAfter, requireIdentical, grace, stepTimeout, preemption,
    metricsListen,
    metricsFile,
  ]

  public static let command = Setting(
    nil, "command", .command, \.command, .nextStart,
    "The trainer's command: an array of the program and its arguments, run without a shell.")
  public static let workingDirectory = Setting(
    nil, "working-directory", .optional(.path), \.workingDirectory, .nextStart,
    unset: "where holdfast was started",
    "The trainer's working directory. Here and below, a relative path is resolved from the file's directory.")
  public static let environment = Setting(
    nil, "environment", .variables, \.environment, .nextStart,
    "A section of variables, NAME = \"value\", added to the environment that the trainer inherits.")

  public static let jobName = Setting(
    "job", "name", option: "job", .optional(.jobName), \.name, .nextStart,
    unset: "name of the file, or of the command",
    "Name of the job.")
  public static let stateDirectory = Setting(
    "job", "state-dir", option: "state-dir", .optional(.path), \.stateDirectory, .nextStart,
    unset: "$STATE_DIRECTORY, or $XDG_STATE_HOME/holdfast/JOB, or ~/.local/state/holdfast/JOB",
    "Directory of the job's store and checkpoints.")
  public static let runDirectory = Setting(
    "job", "run-dir", option: "run-dir", .optional(.path), \.runDirectory, .nextStart,
    unset: "$RUNTIME_DIRECTORY, or a directory below $XDG_RUNTIME_DIR/holdfast or /dev/shm",
    "Directory on tmpfs for files shared with the trainer.")

  public static let checkpointInterval = Setting(
    "checkpoint", "interval", option: "every", .duration, \.policy.durableInterval, .atOnce,
    "Maximum time between durable checkpoints.")
  public static let everySteps = Setting(
    "checkpoint", "every-steps", option: "every-steps", .optional(.number), \.policy.checkpoint.everySteps,
    .atOnce,
    "Save after each step whose number is a multiple of this.")
  public static let everyEpochs = Setting(
    "checkpoint", "every-epochs", option: "every-epochs", .epochs, \.policy.checkpoint.epochs, .atOnce,
    """
    Save at the end of each epoch whose number, from 1, is a multiple of this. auto: at the end of every epoch, \
    as far as this takes less than 1 % of the time.
    """)
  public static let saveOnTrainEpochEnd = Setting(
    "checkpoint", "save-on-train-epoch-end", option: "save-on-train-epoch-end", .epochEnd,
    \.policy.checkpoint.epochEnd, .atOnce,
    "The end of an epoch is its last step (true) or comes after the validation that follows (false).")
  public static let keepLast = Setting(
    "checkpoint", "keep-last", option: "keep-last", .optional(.count), \.policy.checkpoint.keepLast, .atOnce,
    unset: "\(CheckpointPolicy.defaultKeepLast), or the newest with another keep- key",
    "Keep this number of the newest checkpoints. The newest is always kept.")
  public static let keepBest = Setting(
    "checkpoint", "keep-best", option: "keep-best", .countOrNone, \.policy.checkpoint.keepBest, .atOnce,
    "Keep this number of checkpoints with the best values of monitor.")
  public static let monitor = Setting(
    "checkpoint", "monitor", option: "monitor", .optional(.metric), \.policy.checkpoint.monitor, .atOnce,
    "Metric for keep-best, as the trainer reports it with a step or after a validation.")
  public static let mode = Setting(
    "checkpoint", "mode", option: "mode", .mode, \.policy.checkpoint.mode, .atOnce,
    "Whether the smallest or the largest value of monitor is the best.")
  public static let keepEverySteps = Setting(
    "checkpoint", "keep-every-steps", option: "keep-every-steps", .optional(.number),
    \.policy.checkpoint.keepEverySteps, .atOnce,
    "Keep each checkpoint whose step is a multiple of this.")
  public static let keepDaily = Setting(
    "checkpoint", "keep-daily", option: "keep-daily", .countOrNone, \.policy.checkpoint.keepDaily, .atOnce,
    "For the newest days that have a checkpoint, this number of them, keep the last one of the day.")
  public static let weightsOnly = Setting(
    "checkpoint", "weights-only", option: "weights-only", .flag, \.policy.checkpoint.weightsOnly, .atOnce,
    """
    Save only components that consist of tensors alone, such as a model. No attempt starts from such a checkpoint, so \
    the whole state is saved too where recovery needs it, and its newest two are kept.
    """)
  public static let saveLast = Setting(
    "checkpoint", "save-last", option: "save-last", .flag, \.savesLast, .nextStart,
    "Maintain a link, last, to the newest durable checkpoint.")
  public static let checkpointName = Setting(
    "checkpoint", "name", option: "checkpoint-name", .optional(.nameTemplate),
    \.policy.checkpoint.nameTemplate, .atOnce,
    unset: "step-STEP",
    """
    Template of a checkpoint's name with epoch (from 0), step and metrics in braces, such as \
    mnist-{epoch:02d}-{val_loss:.2f}. A name that is taken gets the suffix -v1.
    """)
  public static let autoInsertMetricName = Setting(
    "checkpoint", "auto-insert-metric-name", option: "auto-insert-metric-name", .flag,
    \.policy.checkpoint.insertsMetricNames, .atOnce,
    "Whether name contains name=value (true) or only the value (false).")
  public static let checkpointDirectory = Setting(
    "checkpoint", "dir", option: "checkpoint-dir", .optional(.path), \.checkpointDirectory, .nextStart,
    unset: "checkpoints in state-dir",
    "Directory of the checkpoints, on any filesystem. It serves one job.")
  public static let checkpointsEnabled = Setting(
    "checkpoint", "enabled", option: "no-checkpoints", .flag, \.policy.isDurable, .atOnce,
    "Whether checkpoints are written to disk without a request for one.")
  public static let stageInterval = Setting(
    "checkpoint", "stage-interval", option: "stage-every", .limit("auto"), \.policy.stageInterval, .atOnce,
    "Time between staged checkpoints; auto keeps their overhead below 1 %.")
  public static let checkpointPolicies = Setting(
    "checkpoint", "policy", .policies, \.policy.additional, .atOnce,
    """
    [[checkpoint.policy]]: a further policy, with the keys of this section that say when to save, which to keep and \
    how to name. An option of the command line for one of them replaces all further policies.
    """)

  public static let adopt = Setting(
    "checkpoint", "adopt", option: "adopt", .optional(.text("pattern")), \.adoptedPattern, .nextStart,
    unset: "none",
    """
    For a trainer that does not use holdfast's protocol: the files or directories that it writes as checkpoints, such \
    as 'out/*.ckpt', relative to its working directory. Complete ones are copied, and the word {resume:--option %} of \
    the command becomes the arguments with which it resumes.
    """)
  public static let adoptMarker = Setting(
    "checkpoint", "adopt-marker", option: "adopt-marker", .text("name"), \.adoptedMarker, .nextStart,
    "The file that completes a directory which adopt matches.")

  public static let remote = Setting(
    "remote", "storage", option: "remote", .optional(.text("place")), \.remote, .nextStart,
    unset: "none",
    """
    Storage to which durable checkpoints are replicated, below a directory with the job's name: command:PROGRAM, an \
    absolute path, or a remote of rclone such as s3:bucket/jobs. A job that is not on this machine is continued from \
    there.
    """)
  public static let remoteInterval = Setting(
    "remote", "interval", option: "remote-every", .optional(.duration), \.remoteInterval, .nextStart,
    unset: "each durable checkpoint",
    "Least time between two replicated checkpoints.")
  public static let remoteKeepLast = Setting(
    "remote", "keep-last", option: "remote-keep-last", .count, \.remoteKeepLast, .nextStart,
    "Keep this number of the newest replicated checkpoints.")
  public static let remoteBandwidth = Setting(
    "remote", "bandwidth", option: "remote-bandwidth", .optional(.byteRate), \.remoteBytesPerSecond,
    .nextStart,
    unset: "unlimited",
    "Limit of all transfers together, such as 20MiB, in bytes per second.")
  public static let remoteHeartbeat = Setting(
    "remote", "heartbeat", option: "remote-heartbeat", .duration, \.remoteHeartbeat, .nextStart,
    """
    Time between two heartbeats in the storage. Another machine takes the job over when three of them are missing.
    """)

  /// Those that a policy consists of.
  static let policySettings = [
    checkpointInterval, everySteps, everyEpochs, saveOnTrainEpochEnd, keepLast, keepBest, monitor, mode,
    keepEverySteps, keepDaily, weightsOnly, checkpointName, autoInsertMetricName,
  ]

  /// Those that do not apply with `adopt`: the trainer decides when it saves, and its files have no steps and metrics.
  public static let notForCopies = [
    checkpointInterval, everySteps, everyEpochs, saveOnTrainEpochEnd, keepBest, monitor, mode, keepEverySteps,
    weightsOnly, saveLast, checkpointName, autoInsertMetricName, checkpointsEnabled, stageInterval,
    checkpointPolicies,
  ]

  public static let maxStalls = Setting(
    "restart", "max-stalls", option: "max-stalls", .count, \.policy.maxStalls, .atOnce,
    "Give up after this many consecutive attempts without progress.")
  public static let skipBatchAfter = Setting(
    "restart", "skip-batch-after", option: "skip-batch-after", .optional(.count), \.policy.skipBatchAfter,
    .atOnce,
    unset: "never",
    "Skip a batch after this many consecutive attempts died in it.")

  public static let requireIdentical = Setting(
    "restart", "require-identical", option: "require-identical", .flag, \.policy.requiresIdentical, .atOnce,
    "Exit with status 4 if the job finished but replayed steps differed from the original ones.")

  public static let grace = Setting(
    "stop", "grace", option: "grace", .duration, \.policy.grace, .atOnce,
    "Time to save and exit after a stop signal. A change does not affect a stop in progress.")

  public static let stepTimeout = Setting(
    "hang", "step-timeout", option: "step-timeout", .limit("auto", "off"), \.policy.stepTimeout, .atOnce,
    """
    A trainer that has attached is considered hung when it completes no step for this long; the first step may \
    take ten times as long. auto waits until a step time is known.
    """)

  public static let preemption = Setting(
    "preemption", "source", option: "preemption", .preemption, \.preemption, .nextStart,
    """
    Source of preemption notices: gce, aws, azure, command:PROGRAM, none; auto detects the \
    cloud from the machine's firmware.
    """)

  public static let metricsListen = Setting(
    "metrics", "listen", option: "metrics-listen", .optional(.listenAddress), \.metricsAddress, .nextStart,
    unset: "not served",
    """
    Serve Prometheus metrics at http://ADDRESS:PORT/metrics; a port alone listens on loopback. ADDRESS \
    is an IP address.
    """)
  public static let metricsFile = Setting(
    "metrics", "file", option: "metrics-file", .optional(.file), \.metricsFile, .nextStart,
    unset: "not written",
    "Write Prometheus metrics to a file, NAME.prom, for the textfile collector of node_exporter.")

  static let sections: [String] = all.compactMap(\.section).reduce(into: []) { sections, section in
    if !sections.contains(section) { sections.append(section) }
  }

  static func find(_ section: String?, _ key: String) -> Setting? {
    all.first { $0.section == section && $0.key == key }
  }
}
