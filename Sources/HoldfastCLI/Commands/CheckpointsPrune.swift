import ArgumentParser
import Checkpoints
import Glibc
import JobFile
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage
import Vocabulary

struct CheckpointsPrune: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Remove the checkpoints that no policy keeps.",
    discussion: """
      Shows what each policy keeps, and asks before it removes anything. Without --keep options, the policies are \
      those of the job's last run. Checkpoints are read in full before they are removed; damaged ones stay. The job \
      must not be running: a running one removes checkpoints itself.

        holdfast checkpoints prune resnet50 --dry-run
        holdfast checkpoints prune resnet50 --keep-last 3 --keep-best 1 --monitor val_loss --yes
      """)

  @OptionGroup var job: JobOptions
  @OptionGroup var format: JSONOption
  @Option(help: ArgumentHelp("Keep this number of the newest checkpoints.", valueName: "count")) var keepLast:
    Int?
  @Option(.keepBest) var keepBest: Resolution.Argument?
  @Option(.monitor) var monitor: Resolution.Argument?
  @Option(.mode) var mode: Resolution.Argument?
  @Option(.keepEverySteps) var keepEverySteps: Resolution.Argument?
  @Option(.keepDaily) var keepDaily: Resolution.Argument?
  @Flag(help: "Apply these options to checkpoints with only weights, instead of those of the whole state.")
  var weightsOnly = false
  @Flag(help: "Print what would be removed, and remove nothing.") var dryRun = false
  @Flag(help: "Do not ask.") var yes = false
  @Flag(help: "Allow --keep-last 0: no verified checkpoint stays, and the run cannot be resumed from disk.")
  var removeLastVerified = false

  func validate() throws {
    guard let keepLast else { return }
    guard keepLast >= 0 else { throw ValidationError("--keep-last must not be negative") }
    guard keepLast > 0 || removeLastVerified || weightsOnly else {
      throw ValidationError(
        "--keep-last 0 removes the last verified checkpoint; to do that, add --remove-last-verified")
    }
  }

  func run() throws {
    let reader = try job.open()
    var status = try JobStatus(reader)
    // A running supervisor may be about to list it.
    let unlisted = status.isSupervised ? [] : try status.addUnlisted(reader)
    let policies = try policies(status)
    var kept = Retention.plan(status.listedCheckpoints, policies).kept
    if keepLast == 0 { kept = kept.filter { $0.value != [.newest] } }
    if let notJudged { for one in status.checkpoints where one.isWhole == notJudged { kept[one.name] = [] } }
    let removed = status.checkpoints.filter { $0.damage == nil && kept[$0.name] == nil }
    if hasOptions || !removed.isEmpty { try checkMonitors(of: policies, status, reader) }
    let output = Output.standard
    if dryRun || !format.json { show(status, kept, removed, output) }
    guard !dryRun else { return }
    if !removed.isEmpty { try confirm(removed) }
    guard try !removed.isEmpty || !unlisted.isEmpty || hasLeftovers(status, reader) else {
      return format.json ? report(Pruning.Result(), output) : ()
    }
    let isShown = isatty(STDERR_FILENO) == 1 && !format.json
    // At least one that stays must be intact, where an attempt could have started from one that is removed.
    let staying = status.checkpoints.filter { $0.isWhole && kept[$0.name] != nil }.map(\.name)
    let result = try Pruning.remove(
      removed.map(\.name), keeping: removed.contains(where: \.isWhole) ? staying : [], of: status.job,
      in: reader.directory
    ) { name in
      if isShown { Output.standardError(["reading \(name)"]) }
    }
    report(result, output)
    guard result.damaged.isEmpty else {
      throw Failure(
        .damaged,
        "\(Words.count(UInt64(result.damaged.count), "checkpoint")) damaged and not removed: "
          + result.damaged.map(\.record.name).joined(separator: ", "),
        path: reader.checkpoints.directory.string,
        hints: ["holdfast checkpoints verify \(reader.argument)  the damage"])
    }
  }

  private func hasLeftovers(_ status: JobStatus, _ reader: JobReader) throws -> Bool {
    try !status.isSupervised && !reader.checkpoints.leftovers().isEmpty
  }

  private var options: [Resolution.Argument] {
    [keepBest, monitor, mode, keepEverySteps, keepDaily].compactMap { $0 }
  }

  private var optionNotForCopies: String? {
    let settings = options.map(\.setting) + (weightsOnly ? [.weightsOnly] : [])
    let names = Set(Setting.notForCopies.map(\.name))
    return settings.first { names.contains($0.name) }?.option
  }

  private var hasOptions: Bool { keepLast != nil || !options.isEmpty }

  /// Whether checkpoints of the whole state, or those with only weights, are left as they are; nil: none are.
  private var notJudged: Bool? { hasOptions ? weightsOnly : nil }

  /// That of the options, or those of the job's last run.
  private func policies(_ status: JobStatus) throws -> [CheckpointPolicy] {
    guard hasOptions else { return status.policies.policies }
    if status.isAdopted, let option = optionNotForCopies {
      throw Failure(
        .usage, "--\(option) does not apply to copies of the trainer's own files; nothing was removed",
        why: "they have no steps and metrics", hints: ["use --keep-last and --keep-daily"])
    }
    var policy = Resolution(file: nil, arguments: options).settings.policy.checkpoint
    policy.keepLast = keepLast
    policy.weightsOnly = weightsOnly
    if let mistake = policy.mistake {
      throw Failure(.usage, "--\(mistake)", hints: ["holdfast checkpoints prune --help"])
    }
    return [policy]
  }

  /// A metric that no checkpoint has would rank none of them, and the best ones would be removed.
  private func checkMonitors(
    of policies: [CheckpointPolicy], _ status: JobStatus, _ reader: JobReader
  ) throws(Failure) {
    for policy in policies where policy.keepBest > 0 {
      let judged = status.checkpoints.filter { $0.damage == nil && $0.isWhole != policy.weightsOnly }
      let known = Set(judged.flatMap(\.metrics.keys)).sorted()
      guard let monitor = policy.monitor, !judged.isEmpty, !known.contains(monitor) else { continue }
      let guess = Suggestions.nearest(to: monitor, among: known).map { "; did you mean '\($0)'?" }
      throw Failure(
        .missing, "nothing was removed: no checkpoint has the metric '\(monitor)'\(guess ?? "")",
        path: reader.checkpoints.directory.string,
        why: known.isEmpty
          ? "no checkpoint has any metric" : "the checkpoints have: \(known.joined(separator: ", "))",
        hints: [
          hasOptions
            ? "holdfast checkpoints list \(reader.argument) --json  the metrics of each"
            : "holdfast checkpoints prune \(reader.argument) --keep-last N  by other policies than those of the last run"
        ])
    }
  }

  private func show(
    _ status: JobStatus, _ kept: [String: [Retention.Kept]], _ removed: [CheckpointRecord], _ output: Output
  ) {
    let names = Set(removed.map(\.name))
    if format.json {
      var list = JSONListWriter(
        output, list: "checkpoints", members: ["format_version": .integer(1), "job": .string(status.name)])
      for record in status.checkpoints.reversed() {
        list.append(
          .object([
            "name": .string(record.name), "step": .count(record.step), "size_bytes": .count(record.bytes),
            "removed": .bool(names.contains(record.name)),
            "kept_as": .array((kept[record.name] ?? []).map { .string($0.words) }),
          ]))
      }
      return list.end()
    }
    var table = PagedTable(
      output,
      header: ["NAME", status.isAdopted ? "COPY OF" : "STEP", "AGE", "SIZE", dryRun ? "WOULD BE" : "WILL BE"])
    for record in status.checkpoints.reversed() {
      let why =
        record.damage != nil
        ? "kept: damaged ones are never deleted"
        : names.contains(record.name)
          ? "removed" : keptAs(kept[record.name] ?? [])
      table.add([
        record.name, record.adopted?.path ?? "\(record.step)", status.age(record.createdAtNs),
        Words.bytes(record.bytes), why,
      ])
    }
    table.flush()
    let bytes = Words.bytes(removed.map(\.bytes).saturatingSum)
    output.line(
      removed.isEmpty
        ? "nothing to remove" : "\(Words.count(UInt64(removed.count), "checkpoint")) to remove, \(bytes)")
  }

  private func keptAs(_ kept: [Retention.Kept]) -> String {
    kept.isEmpty ? "kept" : "kept: \(kept.map(\.words).joined(separator: ", "))"
  }

  private func confirm(_ removed: [CheckpointRecord]) throws {
    if yes { return }
    guard isatty(STDIN_FILENO) == 1, !format.json else {
      throw Failure(
        .usage, "nothing was removed: this is not a terminal, and --yes was not given",
        hints: [
          "\(TypedCommand.adding("--dry-run"))  what would be removed", TypedCommand.adding("--yes"),
        ])
    }
    Output.standardError(["remove \(Words.count(UInt64(removed.count), "checkpoint"))? [y/N]"])
    guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
      throw Failure(
        .usage, "nothing was removed", hints: ["\(TypedCommand.adding("--yes"))  without asking"])
    }
  }

  private func report(_ result: Pruning.Result, _ output: Output) {
    let bytes = result.removed.map(\.bytes).saturatingSum
    if format.json {
      return output.json(
        .object([
          "format_version": .integer(1), "removed": .array(result.removed.map { .string($0.name) }),
          "removed_bytes": .count(bytes), "damaged": .array(result.damaged.map { .string($0.record.name) }),
          "unfinished": .array(result.leftovers.map { .string($0) }),
        ]))
    }
    if !result.leftovers.isEmpty {
      output.line("removed what interrupted commands left: \(result.leftovers.joined(separator: ", "))")
    }
    guard !result.removed.isEmpty || result.leftovers.isEmpty else { return }
    output.line("removed \(Words.count(UInt64(result.removed.count), "checkpoint")), \(Words.bytes(bytes))")
  }
}
