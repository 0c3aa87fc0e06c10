import Checkpoints
import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage
import TrainerProtocol
import Vocabulary

// JSON documents, described in CommandLine.md. Fields are only ever added.

extension JobStatus {
  var json: JSONValue {
    let best = bestCheckpoints.map { best -> JSONValue in
      .object([
        "name": .string(best.record.name), "step": .count(best.record.step),
        "path": .string(checkpointDirectory.appending(best.record.name).string),
        "monitor": .optional(best.policy.monitor), "mode": .string(best.policy.mode.rawValue),
        "value": .real(best.value), "weights_only": .bool(!best.record.isWhole),
      ])
    }
    return .object([
      "format_version": .integer(1), "job": .string(name), "state": .string(state.rawValue),
      "state_directory": .string(directory.string),
      "step": .optional(shownStep), "total_steps": .optional(job.totalSteps),
      "epoch": .optional(newest?.epoch), "batch": .optional(newest?.batch),
      "attempt": .optional(attempts.newest?.attempt), "attempts": .count(totals.count),
      "last_step_at": .optional(newest.map { Timestamp.text($0.timeNs) }),
      "last_step_age_seconds": .optional(pace.age), "usual_step_seconds": .optional(pace.usual),
      "stalled": .bool(isStalled), "eta_seconds": .optional(secondsLeft),
      "steps_per_second": .optional(stepsPerSecond), "goodput": .optional(timeSpent.goodput),
      "metrics": .object(Dictionary(metrics.map { ($0.name, .real($0.value)) }) { first, _ in first }),
      "supervisor": .object([
        "alive": .bool(isSupervised), "pid": isSupervised ? .optional(live?.pid) : .null,
      ]),
      "trainer_pid": isSupervised ? .optional(live?.trainerPid) : .null,
      "resume_points": .object([
        "process": Self.document(resume(afterPowerLoss: false)),
        "power": Self.document(resume(afterPowerLoss: true)),
        "machine": job.remote == nil ? .null : Self.document(resumeElsewhere),
      ]),
      "staged_step": .optional(staged?.step), "durable_step": .optional(step(durable?.step)),
      "adopted": durable?.adopted?.json ?? .null,
      "replicated_step": .optional(step(replicated?.step)), "weights_step": .optional(weights?.step),
      "best": best.first ?? .null, "best_checkpoints": .array(best),
      "checkpoints": .integer(Int64(checkpoints.count)), "snapshots": .integer(Int64(snapshotCount)),
      "time_seconds": .object([
        "productive": .real(timeSpent.productive), "start_up": .real(timeSpent.startUp),
        "save_stall": .real(timeSpent.saveStall), "replay": .real(timeSpent.replay),
        "down": .real(timeSpent.down), "total": .real(timeSpent.total),
      ]),
      "skipped_records": .count(totals.skippedRecords), "disk_bytes": .count(diskBytes),
      "restart_budget": .integer(Int64(restartBudget)),
      "failing": .optional(failing), "deviation": deviation?.json ?? .null,
      "waits_for": .optional(isSupervised ? live?.doing : nil),
      "degraded": .array(degraded.map(JSONValue.string)),
      "notice": isSupervised ? attempts.newest?.notice?.json ?? .null : .null,
      "updated_at": .optional(live.map { Timestamp.text($0.updatedAtNs) }),
    ])
  }

  /// nil: the trainer's steps are not known.
  private func step(_ step: UInt64?) -> UInt64? { isAdopted ? nil : step }

  private static func document(_ at: ResumeAt) -> JSONValue {
    .object([
      "level": .string(at.levelWord), "step": .count(at.step), "replay_steps": .count(at.replay),
      "replay_seconds": .optional(at.seconds),
    ])
  }
}

extension AttemptRecord {
  var json: JSONValue {
    .object([
      "attempt": .count(attempt), "started_at": .string(Timestamp.text(startedAtNs)),
      "ended_at": .optional(endedAtNs.map(Timestamp.text)), "running": .bool(running),
      "outcome": .optional(outcome?.text), "cause": .optional(cause?.text), "signal": .optional(signal),
      "exit_status": .optional(exitStatus),
      "resumed_from": resumedFrom.map {
        .object(["level": .string($0.level.text), "step": .count($0.step)])
      } ?? .null,
      "finished_step": .optional(finishedStep), "adopted_checkpoints": .count(adopted ?? 0),
      "first_step": .optional(firstStep), "last_step": .optional(lastStep), "steps": .count(steps),
      "first_step_at": .optional(firstStepAtNs.map(Timestamp.text)),
      "save_stall_seconds": .optional(stallNs.map { Double($0) / 1e9 }),
      "replayed_steps": .count(replayedSteps), "replay": replay,
      "record_problems": .array((recordProblems ?? []).map(JSONValue.string)),
      "replay_differences": .array((differences ?? []).map(\.json)),
      "skipped_records": .count(skippedRecords),
      "peak_resident_bytes": .optional(peakResidentBytes),
      "oom_kills": .count(oomKills ?? 0),
      "stopped_by": .optional(leaving?.by), "saved_seconds": .optional(leaving?.savedSeconds),
      "grace_seconds": .optional(leaving?.graceSeconds), "notice": notice?.json ?? .null,
      "failure": failure.map {
        .object([
          "type": .string($0.type), "message": .string($0.message), "traceback": .optional($0.traceback),
        ])
      } ?? .null,
    ])
  }

  /// `identical`, the first differing step, or null if nothing was replayed.
  private var replay: JSONValue {
    if let differsAtStep { return .count(differsAtStep) }
    return replayedSteps > 0 ? .string("identical") : .null
  }
}

extension Deviation {
  var json: JSONValue {
    .object([
      "attempt": .count(attempt), "step": .count(difference.step),
      "differences": .array(difference.items.map(\.json)), "likely_cause": .string(likelyCause),
    ])
  }
}

extension ReplayAudit.Item {
  var json: JSONValue {
    .object([
      "part": .string(part), "name": .optional(name), "recorded": .optional(recorded),
      "replayed": .optional(replayed),
    ])
  }
}

extension AttemptRecord.Notice {
  var json: JSONValue {
    .object([
      "source": .string(source), "action": .string(action), "deadline": .string(Timestamp.text(deadlineNs)),
    ])
  }
}

extension EventRecord {
  var json: JSONValue {
    .object([
      "format_version": .integer(1), "sequence": .count(sequence), "time": .string(Timestamp.text(timeNs)),
      "kind": .string(kind.text), "attempt": .count(attempt), "step": .optional(step),
      "warning": .bool(isWarning), "message": .string(message),
    ])
  }
}

extension CheckpointRecord {
  /// `replicated` is more than durable.
  var levelWord: String { replicatedAtNs == nil ? Level.durable.rawValue : "replicated" }

  var json: JSONValue {
    .object([
      "name": .string(name), "step": .count(step), "level": .string(levelWord),
      "cut_id": .string(cut.description),
      "attempt": .count(attempt), "epoch": .count(epoch), "batch": .count(batch), "size_bytes": .count(bytes),
      "sha256": .optional(sha256), "digest": .optional(digest ?? sha256),
      "digest_algorithm": .optional(digestAlgorithm ?? sha256.map { _ in "sha256" }),
      "created_at": .string(Timestamp.text(createdAtNs)),
      "state": .string(damage == nil ? "complete" : "damaged"), "damage": .optional(damage),
      "verified_at": .optional(verifiedAtNs.map(Timestamp.text)),
      "replicated_at": .optional(replicatedAtNs.map(Timestamp.text)),
      "weights_only": .bool(!isWhole), "saved_for": .array((savedFor ?? []).map(JSONValue.string)),
      "adopted": adopted?.json ?? .null,
      "metrics": .object(metrics.mapValues(JSONValue.real)),
    ])
  }
}

extension AdoptedFile {
  var json: JSONValue {
    .object([
      "path": .string(path), "kind": .string(isDirectory ? "directory" : "file"),
      "modified_at": .string(Timestamp.text(modifiedAtNs)), "size_bytes": .count(bytes),
    ])
  }
}

extension JobStatus.StagedAt {
  var json: JSONValue {
    .object([
      "step": .count(step), "level": .string(Level.staged.rawValue), "size_bytes": .count(bytes),
      "staged_at": .optional(atNs.map(Timestamp.text)), "metrics": .object(metrics.mapValues(JSONValue.real)),
    ])
  }
}
