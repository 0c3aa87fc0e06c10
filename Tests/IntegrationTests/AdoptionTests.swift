import Foundation
import Testing

/// Programs that know nothing of holdfast: their own files are copied, and they resume with them.
@Suite struct AdoptionTests {
  /// Killed in the middle of a file: the one before it is passed, under the name that the program gave it.
  @Test func resumesWithNewestCompleteFile() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    #expect(try trainer.supervise(["--tear", "4"]) == 0, "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/step-3.ckpt"] && trainer.log.last == "done 6", "\(trainer.log)")
    #expect(
      bench.standardError.contains(
        "saved/step-4.ckpt is not used as a checkpoint: its zip archive has no directory at its end"))
    #expect(
      trainer.files("saved") == (1...6).map { "step-\($0).ckpt" }, "nothing of the program's is touched")

    #expect(try trainer.newest() == "saved/step-6.ckpt")
    #expect(try bench.holdfast(["checkpoints", "verify", "--state-dir", bench.state]).status == 0)
    let copy = try #require(try trainer.checkpoints().first?["name"] as? String)
    let own = FileManager.default.contents(atPath: bench.base + "/saved/step-6.ckpt")
    #expect(
      own != nil
        && FileManager.default.contents(atPath: "\(bench.state)/checkpoints/\(copy)/step-6.ckpt") == own)
    let attempts = try bench.attempts()
    let from = try #require(attempts.last?["resumed_from"] as? [String: Any])
    #expect(from["level"] as? String == "adopted" && attempts.count == 2)
  }

  /// Its only file is torn: the copy is put in its place, and what was there is kept.
  @Test(arguments: [false, true]) func restoresOverwrittenFile(inPlace: Bool) throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, pattern: "saved/last.pt")
    let copies = bench.state + "/checkpoints"
    let arguments = ["--name", "saved/last.pt", "--tear", "4", "--steps", "5", "--copies", copies]
    #expect(
      try trainer.supervise(arguments + (inPlace ? ["--overwrite"] : []), resume: "{resume:--resume=%}") == 0,
      "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/last.pt"] && trainer.resumes == [3], "\(trainer.log)")
    #expect(trainer.files("saved") == [".last.pt.holdfast-aside", "last.pt"])
    #expect(bench.standardError.contains("saved/last.pt is restored from adopted-"), "\(bench.standardError)")
  }

  /// Every attempt that left a new checkpoint made progress, so the budget of three does not end the job.
  @Test func newCheckpointsAreProgress() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, options: ["--max-stalls", "3"])
    #expect(
      try trainer.supervise(["--crash", "1", "--steps", "6", "--step-time", "0.01"]) == 0,
      "\(bench.standardError)")
    #expect(trainer.resumes == [1, 2, 3, 4, 5, 6])
    let history = try bench.holdfast(["history", "--state-dir", bench.state]).out
    #expect(history.contains("adopted-5") && history.contains("1 adopted"), "\(history)")
  }

  @Test func noNewCheckpointIsNoProgress() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, options: ["--max-stalls", "2"])
    #expect(try trainer.supervise(["--crash", "1"]) == 0)
    // The same file again, with the same bytes.
    #expect(try trainer.supervise(["--crash", "1", "--no-save", "--steps", "9"], ["--again"]) == 69)
    #expect(bench.standardError.contains("2 attempts in a row made no progress past step 0"))
    #expect(
      trainer.starts.suffix(2) == ["-", "-"], "files of the finished run are not used: \(trainer.starts)")
  }

  /// A directory counts once its marker is there.
  @Test func directoriesNeedTheirMarker() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, pattern: "saved/checkpoint-*")
    #expect(
      try trainer.supervise(["--name", "saved/checkpoint-%d/", "--tear", "4", "--step-time", "0.5"]) == 0,
      "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/checkpoint-3"] && trainer.resumes == [3], "\(trainer.log)")
    #expect(
      bench.standardError.contains(
        "saved/checkpoint-4 is not used as a checkpoint: it has no trainer_state.json"))
    let show = try bench.holdfast(["checkpoints", "show", "--state-dir", bench.state]).out
    #expect(show.contains("saved/checkpoint-6 (directory)") && show.contains("weights.ckpt"), "\(show)")
  }

  /// What the pattern matches besides neither stops the supervisor nor is read.
  @Test func strangeFilesAreNotUsed() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    let script = """
      mkdir -p saved && cd saved && mkfifo pipe.ckpt && ln -s /etc/passwd link.ckpt && mkdir empty.ckpt && : > none.ckpt
      head -c 9999 /dev/zero > zeros.ckpt; ln -s loop.ckpt loop.ckpt
      """
    #expect(try bench.shell("cd \(bench.base) && \(script)").status == 0)
    #expect(try trainer.supervise(["--tear", "2", "--steps", "3"]) == 0, "\(bench.standardError)")
    #expect(trainer.starts == ["-", "saved/step-1.ckpt"], "\(trainer.starts)")
    for reason in [
      "pipe.ckpt is not used as a checkpoint: it is a named pipe",
      "link.ckpt is not used as a checkpoint: it is a symbolic link",
      "empty.ckpt is not used as a checkpoint: it has no trainer_state.json",
      "none.ckpt is not used as a checkpoint: it is empty",
      "zeros.ckpt is not used as a checkpoint: it begins with zeros",
    ] {
      #expect(bench.standardError.contains(reason), "\(reason)\n\(bench.standardError)")
    }
  }

  /// The program saves in its own way when it is stopped, and continues from there.
  @Test func lastFileOfAStopIsAdopted() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    let process = try trainer.start(["--on-term", "--steps", "500"])
    try bench.wait(for: "a step") { trainer.log.contains("saved 2") }
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
    #expect(process.terminationStatus == 75, "\(bench.standardError)")
    let saved = try #require(trainer.log.last.flatMap { Int($0.dropFirst(6)) })
    #expect(saved > 100)
    #expect(try trainer.newest() == "saved/step-\(saved).ckpt")
    #expect(try trainer.supervise(["--steps", "\(saved + 1)"]) == 0)
    #expect(trainer.resumes == [saved])
    let status = try bench.holdfast(["status", "--state-dir", bench.state]).out
    #expect(status.contains("of saved/step-\(saved + 1).ckpt"), "\(status)")
  }

  /// What was written while no supervisor looked is found by the next one.
  @Test func nextSupervisorAdoptsWhatIsThere() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench)
    let process = try trainer.start(["--steps", "500", "--step-time", "0.02"])
    try bench.wait(for: "steps") { trainer.log.contains("saved 30") }
    try bench.killBoth(process)
    let saved = try #require(trainer.log.last { $0.hasPrefix("saved") }.flatMap { Int($0.dropFirst(6)) })
    #expect(try trainer.supervise(["--steps", "\(saved + 2)"]) == 0, "\(bench.standardError)")
    #expect(trainer.resumes.last ?? 0 >= saved, "\(trainer.resumes), saved \(saved)")
  }

  /// A file of unknown format that is open for writing is not complete, however long it does not change.
  @Test func openFileIsNotComplete() throws {
    let bench = Workbench()
    defer { bench.close() }
    let trainer = try AdoptedTrainer(bench, pattern: "saved/*")
    _ = try bench.write(
      "train.py",
      """
      import os, time
      copy = "state/checkpoints/adopted-1"
      os.makedirs("saved")
      with open("saved/state.cpt", "w") as file:
          file.write("half"); file.flush(); time.sleep(5)
          assert not os.path.exists(copy), "adopted while it is written"
          file.write("whole")
      while not os.path.exists(copy): time.sleep(0.01)
      print(open(copy + "/state.cpt").read())
      """)
    #expect(try trainer.supervise(resume: "") == 0, "\(bench.standardError)")
    #expect(bench.standardOutput == "halfwhole\n")
  }

  /// Copies have no steps and metrics: what would go by them is refused, or ignored where an earlier file has it.
  @Test func settingsThatDoNotApplyAreRefused() throws {
    let bench = Workbench()
    defer { bench.close() }
    for options in [
      ["--keep-best", "3", "--monitor", "loss"], ["--keep-every-steps", "2"], ["--every-steps", "2"],
      ["--every-epochs", "1"], ["--every", "1min"], ["--weights-only"], ["--checkpoint-name", "x-{step}"],
      ["--no-checkpoints"], ["--save-last"], ["--stage-every", "1s"],
    ] {
      let trainer = try AdoptedTrainer(bench, options: options)
      #expect(try trainer.supervise() == 64, "\(options)")
      #expect(
        bench.standardError.contains("\(options[0]) does not apply with --adopt"), "\(bench.standardError)")
    }
    #expect(!FileManager.default.fileExists(atPath: bench.state))

    let file = try bench.write(
      "job.toml",
      "command = [\"true\"]\n[checkpoint]\nadopt = \"x\"\nkeep-every-steps = 2\nkeep-best = 3\nmonitor = \"loss\"\n"
    )
    let checked = try bench.holdfast(["config", "check", file])
    #expect(checked.status == 0, "\(checked)")
    #expect(checked.err.contains("job.toml:4: 'keep-every-steps' is ignored with adopt"), "\(checked)")
    let trainer = try AdoptedTrainer(bench, options: ["--config", file])
    #expect(try trainer.supervise(["--step-time", "0.5"]) == 0, "\(bench.standardError)")
    #expect(
      bench.standardError.contains("job.toml:5: 'keep-best' is ignored with adopt"), "\(bench.standardError)")
    #expect(try trainer.checkpoints().count == 2, "the default")
    let listed = try bench.holdfast(["checkpoints", "list", "--state-dir", bench.state]).out
    #expect(listed.contains("last 2") && !listed.contains("best") && !listed.contains("every 2"), "\(listed)")

    let prune = ["checkpoints", "prune", "--state-dir", bench.state]
    let refused = try bench.holdfast(prune + ["--keep-every-steps", "2", "--yes"])
    #expect(refused.status == 64 && refused.err.contains("--keep-every-steps does not apply"), "\(refused)")
    let dry = try bench.holdfast(prune + ["--keep-last", "1", "--dry-run"]).out
    #expect(dry.contains("COPY OF") && dry.contains("saved/step-6.ckpt"), "\(dry)")
  }
}
