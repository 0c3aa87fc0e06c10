import Foundation
import Holdfast
import JobStore
import POSIX
import SystemPackage

/// The supervisor as a process: how fast it starts the next attempt, what it costs, what a look at a
/// long history costs.
struct ProcessBenchmark {
  let place: FilePath
  let memory: FilePath
  let programs: String

  private func start(_ job: String, _ options: [String] = [], _ command: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: programs + "/holdfast")
    process.arguments =
      [
        "run", "--state-dir", place.appending(job).string, "--run-dir", memory.appending(job).string,
      ] + options + ["--"] + command
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }

  private func lines(_ path: FilePath) -> [(pid: Int32, time: UInt64)] {
    let text = (try? String(contentsOfFile: path.string, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count == 2, let pid = Int32(fields[0]), let time = UInt64(fields[1]) else { return nil }
      return (pid, time)
    }
  }

  /// SIGKILL of the trainer to the first instruction of the next one.
  func restart() throws {
    let log = place.appending("first")
    let command = [programs + "/FirstInstruction", log.string, programs + "/Benchmarks", "pace"]
    let supervisor = try start("restart", ["--stage-every", "50ms"], command)
    defer { stop(supervisor) }
    let taken = try kills(log)
    let shell = Process()
    let shellLog = place.appending("shell")
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", "while :; do \(programs)/FirstInstruction \(shellLog) /bin/sleep 1000; done"]
    shell.standardError = FileHandle.nullDevice
    try shell.run()
    let peer = try kills(shellLog)
    kill(shell.processIdentifier, SIGKILL)
    if let last = lines(shellLog).last { kill(last.pid, SIGKILL) }
    let ratio = taken.median / peer.median
    Report.line(
      "SIGKILL to the next first instruction",
      "median \(Report.nanoseconds(taken.median)), \(Report.ratio(ratio)) × a shell loop",
      "≤ 3.5 × a shell loop", isMet: ratio <= 3.5)
    Report.peer("a shell loop", "median \(Report.nanoseconds(peer.median))")
  }

  private func kills(_ log: FilePath) throws -> Sample {
    var taken: [Double] = []
    for round in 1...21 {
      var seen = lines(log)
      while seen.count < round {
        usleep(1_000)
        seen = lines(log)
      }
      // Long enough for the attempt to make progress: fruitless ones wait.
      usleep(400_000)
      let began = now()
      kill(seen[round - 1].pid, SIGKILL)
      while seen.count < round + 1 {
        usleep(500)
        seen = lines(log)
      }
      taken.append(Double(seen[round].time - began))
    }
    return Sample(taken)
  }

  private func stop(_ process: Process) {
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
  }

  func cost() throws {
    try processorCost()
    try diskCost()
  }

  /// What the supervisor of a trainer with 85 steps/s writes, whose random stream is as large as torch's.
  private func diskCost() throws {
    let supervisor = try start("disk", [], [programs + "/Benchmarks", "twister"])
    defer { stop(supervisor) }
    let pid = supervisor.processIdentifier
    sleep(3)
    let before = (try commits("disk"), try writtenBytes(pid), now())
    sleep(20)
    let seconds = Double(now() - before.2) / 1e9
    let perSecond = Double(try commits("disk") - before.0) / seconds
    let perDay = Double(try writtenBytes(pid) - before.1) / seconds * 86_400 / 1e9
    Report.line(
      "supervisor at 85 steps/s, 5 KiB of random state",
      "\(Report.ratio(perSecond)) commits/s, \(Report.ratio(perDay)) GB/day", "≤ 2 syncs/s, ≤ 3 GB/day",
      isMet: perSecond <= 2 && perDay <= 3)
  }

  /// Of the store so far: the number of its newest transaction, in either meta page. Each is synchronized once.
  private func commits(_ name: String) throws -> UInt64 {
    let file = try FileHandle(
      forReadingFrom: URL(fileURLWithPath: place.appending(name).string + "/store/data.mdb"))
    return try [0, 4096].map { (page: UInt64) in
      // Behind the page's header: magic, version, address, size, two databases of 48 bytes, last page.
      try file.seek(toOffset: page + 16 + 4 + 4 + 8 + 8 + 96 + 8)
      return try file.read(upToCount: 8)?.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } ?? 0
    }.max() ?? 0
  }

  /// What it gave to write(2) and its like, of which the disk is nearly all. Not `write_bytes`: that counts whole large
  /// folios of the page cache for each page in them. proc_pid_io(5).
  private func writtenBytes(_ pid: Int32) throws -> UInt64 {
    let text = try String(contentsOfFile: "/proc/\(pid)/io", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("wchar:") }
    return line?.split(separator: " ").last.flatMap { UInt64($0) } ?? 0
  }

  /// Processor and memory of the supervisor of a trainer that makes 1,000 steps/s.
  private func processorCost() throws {
    let supervisor = try start("cost", [], [programs + "/Benchmarks", "pace"])
    defer { stop(supervisor) }
    let pid = supervisor.processIdentifier
    sleep(2)
    let before = processorSeconds(pid)
    let began = now()
    sleep(10)
    let share = (processorSeconds(pid) - before) / (Double(now() - began) / 1e9)
    let resident = residentBytes(pid)
    Report.line(
      "supervisor at 1,000 steps/s",
      "\(Report.ratio(share * 100)) % of a core, \(Report.ratio(Double(resident) / 1_048_576)) MiB resident",
      "≤ 0.4 %, ≤ 40 MiB", isMet: share <= 0.004 && resident <= 40 << 20)
  }

  private func processorSeconds(_ pid: Int32) -> Double {
    // In nanoseconds, unlike /proc/PID/stat with its hundredths of a second.
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return tasks.reduce(0) { sum, task in
      let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(task)/schedstat", encoding: .utf8)) ?? ""
      return sum + (text.split(separator: " ").first.flatMap { Double($0) } ?? 0) / 1e9
    }
  }

  private func residentBytes(_ pid: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// `holdfast status` of a job with 10 million recorded steps.
  func status() throws {
    let directory = place.appending("long")
    try fill(directory, steps: 10_000_000)
    let taken = try (0..<15).map { _ in
      // Foundation's waitUntilExit comes tens of milliseconds late.
      let program = ChildProcess.Program(
        path: "/bin/sh",
        arguments: ["sh", "-c", "exec \(programs)/holdfast status --state-dir \(directory) > /dev/null"],
        environment: ["PATH=/usr/bin:/bin"])
      return try nanosecondsTaken {
        let child = try ChildProcess(program)
        var exit = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&exit, 1, -1)
        let status = try child.reap()
        precondition(status == .exited(0))
      }
    }
    let sample = Sample(taken)
    Report.line(
      "holdfast status, 10 million snapshots", "median \(Report.nanoseconds(sample.median))", "≤ 50 ms",
      isMet: sample.median <= 50e6)
  }

  private func fill(_ directory: FilePath, steps: Int) throws {
    let store = try JobStore(stateDirectory: directory, .create)
    let writer = try StoreWriter(store, lookInterval: .milliseconds(5)) { _ in }
    let job = JobRecord(job: "long", id: JobID(), createdAtNs: 1, command: ["train"])
    _ = writer.submitAndWait([.job(job)])
    let ringDirectory = memory.appending("long")
    try FileSystem.makeDirectories(ringDirectory)
    let identity = RingIdentity(jobID: job.id, attempt: 1, generation: 1)
    let reader = try RingReader.create(directory: ringDirectory, identity: identity, capacityBytes: 64 << 20)
    let ring = try RingWriter(directory: ringDirectory)
    writer.attach(reader, attempt: 1)
    var metric = 1.0
    for step in 1...steps {
      while true {
        let isWritten = withUnsafePointer(to: &metric) { metric in
          ring.appendSnapshot(
            step: UInt64(step), epoch: 0, batch: UInt64(step), samples: UInt64(step),
            timeNanoseconds: UInt64(step),
            phase: .training, metrics: UnsafeBufferPointer(start: metric, count: 1),
            parts: UnsafeRawBufferPointer(start: nil, count: 0), partCount: 0,
            image: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        if isWritten { break }
        usleep(200)
      }
    }
    let gate = Gate()
    writer.detach { gate.open() }
    gate.wait()
    let count = try store.snapshotCount()
    precondition(count == steps)
    writer.stop()
  }
}
