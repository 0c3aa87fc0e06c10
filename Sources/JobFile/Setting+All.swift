import Supervision

// The table of settings, in the order of a file. A new one needs a line here, a place in `JobSettings`,
// and, to be an option too, a line in `RunOptions`.
extension Setting {
  public static let all: [Setting] = [
    command, workingDirectory, environment, jobName, stateDirectory, runDirectory, checkpointInterval,
    stageInterval, maxStalls, skipBatchAfter, requireIdentical, grace, stepTimeout, preemption, metricsListen,
    metricsFile,
  ]

  public static let command = Setting(
    nil, "command", .command, \.command, .nextStart,
    "The trainer's command: an array of the program and its arguments. No shell reads it.")
  public static let workingDirectory = Setting(
    nil, "working-directory", .optional(.path), \.workingDirectory, .nextStart,
    unset: "where holdfast was started",
    "The trainer's working directory. A relative path belongs to the file's directory, here and below.")
  public static let environment = Setting(
    nil, "environment", .variables, \.environment, .nextStart,
    "A section of variables, NAME = \"value\", that the trainer gets besides those it inherits.")

  public static let jobName = Setting(
    "job", "name", option: "job", .optional(.jobName), \.name, .nextStart,
    unset: "the file's name, or the command's",
    "Name of the job.")
  public static let stateDirectory = Setting(
    "job", "state-dir", option: "state-dir", .optional(.path), \.stateDirectory, .nextStart,
    unset: "$STATE_DIRECTORY, or $XDG_STATE_HOME/holdfast/JOB, or ~/.local/state/holdfast/JOB",
    "The job's own directory: its store and its checkpoints.")
  public static let runDirectory = Setting(
    "job", "run-dir", option: "run-dir", .optional(.path), \.runDirectory, .nextStart,
    unset: "$RUNTIME_DIRECTORY, or one below $XDG_RUNTIME_DIR/holdfast or /dev/shm",
    "Directory on tmpfs for what is shared with the trainer.")

  public static let checkpointInterval = Setting(
    "checkpoint", "interval", option: "every", .duration, \.policy.durableInterval, .atOnce,
    "Longest time between durable checkpoints.")
  public static let stageInterval = Setting(
    "checkpoint", "stage-interval", option: "stage-every", .limit("auto"), \.policy.stageInterval, .atOnce,
    "Time between staged checkpoints; auto keeps their cost under 1 %.")

  public static let maxStalls = Setting(
    "restart", "max-stalls", option: "max-stalls", .count, \.policy.maxStalls, .atOnce,
    "Attempts in a row without progress after which to give up.")
  public static let skipBatchAfter = Setting(
    "restart", "skip-batch-after", option: "skip-batch-after", .optional(.count), \.policy.skipBatchAfter,
    .atOnce,
    unset: "never",
    "Leave a batch out after so many attempts in a row died in it.")

  public static let requireIdentical = Setting(
    "restart", "require-identical", option: "require-identical", .flag, \.policy.requiresIdentical, .atOnce,
    "Exit with status 4 when a job is finished of which steps that were made again differed.")

  public static let grace = Setting(
    "stop", "grace", option: "grace", .duration, \.policy.grace, .atOnce,
    "Time to save and exit after a stop signal. A stop that is under way keeps the time it was given.")

  public static let stepTimeout = Setting(
    "hang", "step-timeout", option: "step-timeout", .limit("auto", "off"), \.policy.stepTimeout, .atOnce,
    """
    A trainer that has attached and makes no step for so long is hung; the first step may take ten times as \
    long. auto waits until a step time is known.
    """)

  public static let preemption = Setting(
    "preemption", "source", option: "preemption", .preemption, \.preemption, .nextStart,
    """
    Source of preemption notices: gce, aws, azure, command:PROGRAM, none; auto asks the \
    cloud that the machine's firmware names.
    """)

  public static let metricsListen = Setting(
    "metrics", "listen", option: "metrics-listen", .optional(.listenAddress), \.metricsAddress, .nextStart,
    unset: "not served",
    """
    Serve Prometheus metrics at http://ADDRESS:PORT/metrics; with a port alone, on the loopback. ADDRESS \
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
