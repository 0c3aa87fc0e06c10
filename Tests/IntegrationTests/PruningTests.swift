import Foundation
import Testing

/// `checkpoints prune` where the user mistypes, is not asked, or is interrupted.
@Suite struct PruningTests {
  private static let trainer = [Programs.trainer, "--epochs", "6", "--step-delay", "20ms"]

  /// A finished job with checkpoints, which have the metric val_accuracy.
  /// - Returns: also their names, the newest first: at least three, as a trainer on a busy machine passes some unsaved.
  private static func job() throws -> (Workbench, [String]) {
    let bench = Workbench()
    let options = ["--every-epochs", "1", "--keep-last", "9"]
    #expect(try bench.supervise(options, trainer) == 0, "\(bench.standardError)")
    let names = try bench.listedCheckpoints().map(\.name)
    try #require(names.count >= 3 && names[0] == "step-270", "\(names) \(bench.standardError)")
    return (bench, names)
  }

  /// It would keep the newest as if they were the best, and remove the best ones.
  @Test func aMistypedMetricRemovesNothing() throws {
    let (bench, names) = try Self.job()
    defer { bench.close() }
    let prune = ["checkpoints", "prune", "--state-dir", bench.state, "--keep-best", "1", "--mode", "max"]
    for further in [["--yes"], ["--dry-run"], ["--yes", "--json"]] {
      let result = try bench.holdfast(prune + ["--monitor", "val_acuracy"] + further)
      #expect(result.status == 66, "\(result)")
      let text = result.out + result.err
      #expect(
        text.contains("no checkpoint has the metric 'val_acuracy'; did you mean 'val_accuracy'?"), "\(text)")
      #expect(try bench.listedCheckpoints().map(\.name) == names)
    }
    // Those with the metric are ranked, and one without it is not called a best one.
    let known = try bench.holdfast(prune + ["--monitor", "val_accuracy", "--dry-run"])
    #expect(known.status == 0 && known.out.contains("best 1"), "\(known)")
  }

  /// With the policies of the last run, whose metric nobody has reported.
  @Test func aMistypedMetricOfTheLastRunIsNotCalledBest() throws {
    let bench = Workbench()
    defer { bench.close() }
    let options = ["--every-epochs", "1", "--keep-best", "3", "--monitor", "acuracy"]
    #expect(try bench.supervise(options, Self.trainer) == 0, "\(bench.standardError)")
    let listed = try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state])
    #expect(listed.out.contains("not ranked by acuracy") && !listed.out.contains("best"), "\(listed)")
  }

  /// A hint that leaves out the job or the options would remove other checkpoints.
  @Test func hintsRepeatTheWholeCommand() throws {
    let (bench, _) = try Self.job()
    defer { bench.close() }
    let prune = ["checkpoints", "prune", "test", "--state-dir", bench.state, "--keep-every-steps", "70"]
    let command = (["holdfast"] + prune).joined(separator: " ")
    let result = try bench.shell("\(Programs.holdfast) \(prune.joined(separator: " ")) </dev/null")
    #expect(result.status == 64, "\(result)")
    #expect(
      result.err.contains("\(command) --dry-run  what") && result.err.contains("\(command) --yes\n"),
      "\(result.err)")
    let refused = try bench.terminal("\(Programs.holdfast) \(prune.joined(separator: " "))")
    #expect(refused.out.contains("\(command) --yes"), "\(refused)")
    // The words after -- are arguments.
    let ended =
      "\(Programs.holdfast) checkpoints prune --state-dir \(bench.state) --keep-last 1 -- test </dev/null"
    #expect(try bench.shell(ended).err.contains("--keep-last 1 --yes -- test"))

    let pull = [
      "checkpoints", "pull", "test", "none", "--state-dir", bench.state, "--remote", bench.base + "/remote",
    ]
    try FileManager.default.createDirectory(atPath: bench.base + "/remote", withIntermediateDirectories: true)
    let missing = try bench.holdfast(pull)
    #expect(missing.err.contains((["holdfast"] + pull + ["--list"]).joined(separator: " ")), "\(missing)")
  }

  /// Whenever it is killed, the next one finishes its work.
  @Test func anInterruptedRemovalIsFinished() throws {
    let (bench, names) = try Self.job()
    defer { bench.close() }
    let place = "\(bench.state)/checkpoints"
    let prune = ["checkpoints", "prune", "--state-dir", bench.state, "--keep-last", "1"]
    #expect(try bench.shell("cp -a \(place) \(bench.base)/before").status == 0)
    #expect(try bench.holdfast(prune + ["--yes"]).status == 0)
    // As a kill leaves one between the list and the disk, and another in the middle of its removal.
    try FileManager.default.moveItem(
      atPath: bench.base + "/before/\(names[1])", toPath: "\(place)/\(names[1])")
    try FileManager.default.moveItem(
      atPath: bench.base + "/before/\(names[2])", toPath: place + "/.removing-\(names[2])")
    let dry = try bench.holdfast(prune + ["--dry-run"])
    #expect(dry.out.contains("1 checkpoint to remove"), "\(dry)")
    let result = try bench.holdfast(prune + ["--yes"])
    #expect(result.status == 0 && result.out.contains(".removing-\(names[2])"), "\(result)")
    #expect(result.out.contains("removed 1 checkpoint,"), "\(result)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place) == [names[0]])

    // What is left of a removal needs no question.
    try FileManager.default.copyItem(atPath: "\(place)/\(names[0])", toPath: place + "/.removing-step-90")
    #expect(try bench.holdfast(prune).out.contains(".removing-step-90"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: place) == [names[0]])
    let nothing = try bench.holdfast(prune + ["--yes", "--json"])
    #expect(nothing.status == 0 && nothing.out.contains("\"removed\":[]"), "\(nothing)")
  }

  @Test func prunesThatAreKilledLeaveNothing() throws {
    let (bench, names) = try Self.job()
    defer { bench.close() }
    let prune = "checkpoints prune --state-dir \(bench.state) --keep-last 1 --yes"
    for hundredths in 1...8 {
      _ = try bench.shell("timeout -s KILL 0.0\(hundredths) \(Programs.holdfast) \(prune)")
    }
    #expect(try bench.shell("\(Programs.holdfast) \(prune)").status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.state + "/checkpoints") == [names[0]])
    #expect(try bench.listedCheckpoints().map(\.name) == [names[0]])
  }
}
