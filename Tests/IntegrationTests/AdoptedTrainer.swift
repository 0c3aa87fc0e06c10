import Foundation
import Testing

/// A program that knows nothing of holdfast and writes checkpoints with code of its own, in the directory of a bench.
struct AdoptedTrainer {
  let bench: Workbench
  var pattern = "saved/*.ckpt"
  var options: [String] = []

  /// Steps are counted in the checkpoint, a zip archive. `--tear N` kills the program in the middle of that step's file,
  /// once; `--crash N` ends it after so many steps of its own.
  private static let program = """
    import argparse, json, os, pathlib, signal, sys, time, zipfile
    parser = argparse.ArgumentParser()
    parser.add_argument("--resume"); parser.add_argument("--find", action="store_true")
    parser.add_argument("--name", default="saved/step-%d.ckpt"); parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--tear", type=int, default=0); parser.add_argument("--crash", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true"); parser.add_argument("--step-time", type=float, default=0.2)
    parser.add_argument("--on-term", action="store_true"); parser.add_argument("--no-save", action="store_true")
    parser.add_argument("--copies")
    args = parser.parse_args()

    def log(*words):
        with open("log", "a") as file: print(*words, file=file)

    def load(path):
        if os.path.isdir(path): path = os.path.join(path, "weights.ckpt")
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            return json.loads(archive.read("state"))["step"]

    class Torn(Exception): pass

    def archive(path, step, tear):
        # In place, without truncation, as a program that reuses its file does.
        file = open(path, "r+b" if args.overwrite and os.path.exists(path) else "wb")
        with zipfile.ZipFile(file, "w") as written:
            written.writestr("state", json.dumps({"step": step}))
            if tear:
                file.flush(); open("torn", "w").close(); os.kill(os.getpid(), signal.SIGKILL)
            written.writestr("weights", bytes([step]) * 300_000)
        file.truncate(); file.close()

    def save(step):
        tear = step == args.tear and not os.path.exists("torn")
        path = args.name % step if "%" in args.name else args.name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if args.name.endswith("/"):
            os.makedirs(path, exist_ok=True)
            archive(path + "weights.ckpt", step, tear)
            with open(path + "trainer_state.json", "w") as file: json.dump({"global_step": step}, file)
        else:
            archive(path, step, tear)
        log("saved", step)
        # Every file is copied.
        while args.copies and not os.path.exists(f"{args.copies}/adopted-{step}"): time.sleep(0.01)

    step = 0
    if args.find:
        found = sorted(pathlib.Path("saved").glob("*.ckpt"), key=os.path.getmtime)
        args.resume = str(found[-1]) if found else None
    log("start", args.resume or "-")
    if args.resume:
        step = load(args.resume)
        log("resumed", step)
    def terminate(*_):
        save(step + 100); sys.exit(143)
    if args.on_term: signal.signal(signal.SIGTERM, terminate)
    own = 0
    while step < args.steps:
        time.sleep(args.step_time)
        step += 1; own += 1
        if not args.no_save: save(step)
        if args.crash and own >= args.crash: sys.exit(3)
    log("done", step)
    """

  init(_ bench: Workbench, pattern: String = "saved/*.ckpt", options: [String] = []) throws {
    self.bench = bench
    self.pattern = pattern
    self.options = options
    _ = try bench.write("train.py", Self.program)
  }

  private func command(_ arguments: [String], resume: String, _ more: [String]) -> [String] {
    ["/usr/bin/env", "-C", bench.base, Programs.holdfast, "run", "--job", "test", "--state-dir", bench.state]
      + ["--run-dir", bench.run] + (pattern.isEmpty ? [] : ["--adopt", pattern]) + options + more
      + ["--", "/usr/bin/python3", "train.py"] + arguments + (resume.isEmpty ? [] : [resume])
  }

  @discardableResult
  func start(
    _ arguments: [String] = [], resume: String = "{resume:--resume %}", _ more: [String] = []
  ) throws -> Process {
    try bench.start(program: command(arguments, resume: resume, more))
  }

  /// - Returns: the exit status.
  func supervise(
    _ arguments: [String] = [], resume: String = "{resume:--resume %}", _ more: [String] = []
  ) throws -> Int32 {
    let process = try start(arguments, resume: resume, more)
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// What the program wrote about itself.
  var log: [String] {
    let text = (try? String(contentsOfFile: bench.base + "/log", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map(String.init)
  }

  /// The paths with which it was started; `-`: none.
  var starts: [String] { log.filter { $0.hasPrefix("start ") }.map { String($0.dropFirst(6)) } }

  /// The steps at which it resumed.
  var resumes: [Int] { log.filter { $0.hasPrefix("resumed ") }.compactMap { Int($0.dropFirst(8)) } }

  func files(_ directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: bench.base + "/" + directory)) ?? []).sorted()
  }

  func checkpoints() throws -> [[String: Any]] {
    try bench.json(["checkpoints", "list"])["checkpoints"] as? [[String: Any]] ?? []
  }

  /// Of the newest checkpoint.
  func newest() throws -> String {
    (try checkpoints().first?["adopted"] as? [String: Any])?["path"] as? String ?? ""
  }
}
