import Foundation
import Testing

/// With which of a program's own files a job begins or continues.
@Suite struct AdoptionStartTests {
  @Test func newJobBeginsWithFileThatIsThere() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    #expect(try bench.shell("cd \(bench.base) && /usr/bin/python3 train.py --steps 2").status == 0)
    #expect(try trainer.supervise(["--steps", "3"]) == 0, "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/step-2.ckpt"])
    #expect(
      bench.standardError.contains("job test is new, and saved/step-2.ckpt was there before")
        && bench.standardError.contains("--resume-from none"), "\(bench.standardError)")
  }

  /// Files of the earlier run stay where they are, and are not passed.
  @Test func startingOverIgnoresEarlierFiles() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    #expect(try trainer.supervise(["--steps", "3"]) == 0)
    #expect(try trainer.supervise(["--steps", "2"], ["--again"]) == 0, "\(bench.standardError)")
    #expect(trainer.starts == ["-", "-"], "\(trainer.starts)")
    #expect(
      bench.standardError.contains("saved/step-3.ckpt and 2 more of an earlier run: not used"),
      "\(bench.standardError)")
    #expect(try trainer.newest() == "saved/step-2.ckpt")

    let other = Workbench()
    defer { other.close() }
    let second = try AdoptedTrainer(other)
    #expect(try other.shell("cd \(other.base) && /usr/bin/python3 train.py --steps 2").status == 0)
    #expect(
      try second.supervise(["--steps", "2"], ["--resume-from", "none"]) == 0, "\(other.standardError)")
    #expect(second.starts == ["-", "-"], "\(second.starts)")
  }

  /// The newest checkpoint is damaged, and the program's own file is gone.
  @Test func olderCopyReplacesDamagedOne() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    let process = try trainer.start(["--steps", "500", "--step-time", "1.5"])
    try bench.wait(for: "two checkpoints") { (try? trainer.checkpoints().count) ?? 0 >= 2 }
    try bench.killBoth(process)
    let names = try trainer.checkpoints().compactMap { $0["adopted"] as? [String: Any] }.compactMap {
      $0["path"] as? String
    }
    let newest = try #require(try trainer.checkpoints().first?["name"] as? String)
    let file = URL(fileURLWithPath: names[0]).lastPathComponent
    try Workbench.flipBit(of: "\(bench.state)/checkpoints/\(newest)/\(file)", at: 150_000)
    try FileManager.default.removeItem(atPath: bench.base + "/saved")
    #expect(try trainer.supervise(["--steps", "3"]) == 0, "\(bench.standardError)")
    #expect(trainer.starts.last == names[1], "\(trainer.starts), \(names)")
    #expect(bench.standardError.contains("checkpoint \(newest) is damaged"))
  }

  /// Another machine, with an empty disk: the file is where the program expects it.
  @Test func anotherMachineGetsTheFile() throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let options = ["--remote", first.base + "/remote", "--remote-heartbeat", "1s"]
    let trainer = try AdoptedTrainer(first, options: options)
    let process = try trainer.start(["--steps", "500", "--step-time", "0.5"])
    try first.wait(for: "a checkpoint at the remote") {
      (try? trainer.checkpoints())?.contains { $0["level"] as? String == "replicated" } ?? false
    }
    try first.killBoth(process)
    try FileManager.default.removeItem(atPath: first.state)

    let other = try AdoptedTrainer(second, options: options)
    #expect(try other.supervise(["--steps", "1"]) == 0, "\(second.standardError)")
    let path = try #require(other.starts.first)
    #expect(path.hasPrefix("saved/step-") && other.resumes.count == 1, "\(other.log)")
    #expect(second.standardError.contains("\(path) is restored from adopted-"), "\(second.standardError)")
    #expect(try second.attempts().count == 2, "the whole story")
  }

  /// A copy of one job begins another, in another directory.
  @Test func anotherJobBeginsWithCopy() throws {
    let (first, second) = (Workbench(), Workbench())
    defer { for bench in [first, second] { bench.close() } }
    let trainer = try AdoptedTrainer(first)
    #expect(try trainer.supervise(["--steps", "2"]) == 0)
    let name = try #require(try trainer.checkpoints().first?["name"] as? String)
    let other = try AdoptedTrainer(second, pattern: "other/*.ckpt")
    let from = ["--resume-from", "\(first.state)/checkpoints/\(name)"]
    #expect(
      try other.supervise(["--steps", "3", "--name", "other/%d.ckpt"], from) == 0, "\(second.standardError)")
    #expect(
      other.resumes == [2] && other.starts.first?.hasSuffix("/resume/step-2.ckpt") == true, "\(other.log)")
  }

  /// A program that finds its checkpoint itself must find a complete one.
  @Test(arguments: [true, false]) func programThatFindsItsFile(withFlag: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    let status = try trainer.supervise(
      ["--tear", "4"] + (withFlag ? [] : ["--find"]), resume: withFlag ? "{resume:--find}" : "")
    #expect(status == 0, "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/step-3.ckpt"], "\(trainer.log)")
    #expect(trainer.files("saved").first == ".step-4.ckpt.holdfast-aside")
  }

  /// Checkpoints of the two kinds do not mix.
  @Test func kindsDoNotMix() throws {
    let bench = Workbench()
    defer { bench.close() }
    var trainer = try AdoptedTrainer(bench)
    let process = try trainer.start(["--steps", "500"])
    try bench.wait(for: "a checkpoint") { (try? trainer.checkpoints().isEmpty) == false }
    try bench.killBoth(process)
    trainer.pattern = ""
    #expect(try trainer.supervise(["--steps", "1"], resume: "") == 78, "\(bench.standardError)")
    #expect(bench.standardError.contains("has adopted checkpoints, which only --adopt uses"))

    let other = Workbench()
    defer { other.close() }
    #expect(try other.supervise([], [Programs.trainer, "--epochs", "1"]) == 0)
    #expect(try other.supervise(["--adopt", "x", "--again"], [Programs.trainer, "--epochs", "1"]) == 0)
    #expect(other.standardError.contains("the trainer uses holdfast's protocol"), "\(other.standardError)")

    let own = Workbench()
    defer { own.close() }
    let supervisor = try own.start([], [Programs.trainer, "--epochs", "60", "--step-delay", "20ms"])
    try own.wait(for: "a checkpoint") { try own.status("durable_step") > 0 }
    try own.killBoth(supervisor)
    #expect(try own.supervise(["--adopt", "x"], [Programs.trainer]) == 78, "\(own.standardError)")
    #expect(own.standardError.contains("has checkpoints of a trainer that uses holdfast's protocol"))
  }

  @Test(arguments: [
    ("{resume:--ckpt %}", "", "needs --adopt"), ("--ckpt={resume:%}", "saved/*", "must be a word of its own"),
    ("{resume:%", "saved/*", "has no '}' at its end"), ("{resume:}", "saved/*", "is empty"),
    ("{resume:%,%}", "saved/*", "more than one '%'"),
    ("{resum:--ckpt %}", "saved/*", "did you mean '{resume:--option %}'"),
  ]) func wrongTemplates(word: String, pattern: String, message: String) throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, pattern: pattern)
    #expect(try trainer.supervise(resume: word) == 64)
    #expect(bench.standardError.contains(message), "\(bench.standardError)")
    #expect(!FileManager.default.fileExists(atPath: bench.state), "nothing is touched")
    let adopt = pattern.isEmpty ? "" : "[checkpoint]\nadopt = \"\(pattern)\"\n"
    let file = try bench.write("job.toml", "command = [\"true\", \"\(word)\"]\n\(adopt)")
    let check = try bench.holdfast(["config", "check", file])
    #expect(
      check.status == 78 && check.err.contains(message) && check.err.contains("job.toml:1"), "\(check.err)")
  }
}
