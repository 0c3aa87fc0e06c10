import Glibc
import JobStore
import POSIX
import Reporting
import Supervision
import SystemPackage
import TrainerProtocol

/// Starts the trainer of an attempt: its ring, its resume point, its process.
struct TrainerLauncher {
  let configuration: Configuration
  let directories: JobDirectory
  let runDirectory: RunDirectory
  let boot: String
  let writer: StoreWriter
  let core: Core
  let job: JobRecorder
  let command: TrainerCommand
  let processes: TrainerProcesses
  let link: TrainerLink
  let catalogue: ResumeCatalogue
  let resumeFile: ResumeFileWriter

  func prepareNextRing() {
    do {
      try RingReader.prepareNext(directory: directories.run, capacityBytes: configuration.ringBytes)
    } catch {
      // If the error persists, the next start reports it.
    }
  }

  /// - Parameter commit: of the attempt's record. Independent work is done while it is in progress.
  func launch(
    _ number: UInt64, _ skips: [BatchPosition], _ request: FirstRequest?, after commit: StoreWriter.Commit
  ) throws -> ChildProcess {
    let path = try command.find()
    try prepareRunDirectory()
    commit.wait(timeout: .seconds(5))
    do {
      let identity = RingIdentity(
        jobID: job.record.id, attempt: number, generation: number,
        arenaSlots: UInt32(configuration.policy.slotCount)
      )
      let ring = try RingReader.create(
        directory: directories.run, identity: identity, capacityBytes: configuration.ringBytes)
      try resumeFile.write(number, skips)
      link.open(ring, isUnread: catalogue.choice.isUnread, initialSlot: core.state.initialSlot)
      if let request {
        link.post(
          .save, sequence: request.sequence, slot: request.slot, target: request.target, generation: number,
          deadline: nil)
      }
      writer.attach(ring, attempt: number)
    } catch let error as ProtocolError {
      throw TrainerCommand.Failure(
        kind: error.code == .noRoom ? .noRoom : .other(errno: error.errno?.rawValue ?? EIO), why: "\(error)")
    }
    do {
      return try processes.launch(command, path, attempt: number, boot: boot)
    } catch {
      writer.detach {}
      throw error
    }
  }

  /// It may have been removed since, by logind at logout or by a user.
  private func prepareRunDirectory() throws {
    do {
      if runDirectory.displacement == nil {
        try directories.prepareRun()
      } else if try !runDirectory.reacquire() {
        throw TrainerCommand.Failure(
          kind: .other(errno: EBUSY), why: "the run directory is used by another job")
      }
    } catch let error as SupervisorError {
      throw TrainerCommand.Failure(
        kind: .other(errno: ENOENT), why: error.what + (error.why.map { ": \($0)" } ?? ""))
    }
  }
}
