import Systemd

/// What kind of thing happened. The raw values are kept in the store and shown as JSON: they are never
/// changed. Each has a message id, by which `journalctl -x` finds its text in `units/holdfast.catalog`.
public enum EventKind: String, CaseIterable, Sendable {
  case attemptEnded = "attempt_ended"
  case attemptOrphaned = "attempt_orphaned"
  case attemptStarted = "attempt_started"
  case backoff
  case backgroundWork = "background_work"
  case checkpointDamaged = "checkpoint_damaged"
  case checkpointFound = "checkpoint_found"
  case checkpointMissing = "checkpoint_missing"
  case checkpointUnavailable = "checkpoint_unavailable"
  case degraded
  case diesInBatch = "dies_in_batch"
  case finalStateLost = "final_state_lost"
  case finished
  case gaveUp = "gave_up"
  case hang
  case hurry
  case internalError = "internal_error"
  case preempted
  case preemptionAbsent = "preemption_absent"
  case preemptionAcknowledged = "preemption_acknowledged"
  case preemptionCancelled = "preemption_cancelled"
  case preemptionLeaving = "preemption_leaving"
  case preemptionNotice = "preemption_notice"
  case preemptionSource = "preemption_source"
  case preemptionUnacknowledged = "preemption_unacknowledged"
  case preemptionWarning = "preemption_warning"
  case published
  case recordUnusable = "record_unusable"
  case recovered
  case reloadRefused = "reload_refused"
  case reloaded
  case repeatsFailure = "repeats_failure"
  case replayDiffers = "replay_differs"
  case replayIdentical = "replay_identical"
  case restoreDied = "restore_died"
  case ringLost = "ring_lost"
  case saveTimedOut = "save_timed_out"
  case saveTooLong = "save_too_long"
  case saveUnanswered = "save_unanswered"
  case saved
  case serviceManager = "service_manager"
  case skipBatch = "skip_batch"
  case stageFailed = "stage_failed"
  case stageRecovered = "stage_recovered"
  case startFailed = "start_failed"
  case stopRequested = "stop_requested"
  case storeRepaired = "store_repaired"

  /// 128 random bits in hexadecimal, made once (`systemd-id128 new`).
  public var messageID: String {
    switch self {
    case .attemptEnded: "a3def6856d7540429931754cc3e04095"
    case .attemptOrphaned: "3c5f020865734637bc320d0abb0b1853"
    case .attemptStarted: "1ef1cb0e71a44a2ba7d73c5f68f02cc7"
    case .backoff: "340fa787f2244a98a261e51c61aebb5b"
    case .backgroundWork: "6d0f3a1c58e94b7d9a24c7e1b3f05862"
    case .checkpointDamaged: "1ccde1799c05466f9a690fb592be344b"
    case .checkpointFound: "e55b1dcaea324e8385a6cf2963d8c05f"
    case .checkpointMissing: "0f44d6f736c04255910d7b9552f00ebd"
    case .checkpointUnavailable: "e262cd9e141a43208bb1e3c78d2b1f66"
    case .degraded: "477c90c6783f4bdba718fb3848ee9f62"
    case .diesInBatch: "c9021dbb9fbd41d5974b52e75b5de19a"
    case .finalStateLost: "4a8933f6e0484e109382b90578ff04cb"
    case .finished: "baba36b2f21548dfa845379c9fa7e482"
    case .gaveUp: "3e5dfc1945f942299a3f40226d8bb181"
    case .hang: "947ca1ccc89547008c83021bb8cb6be5"
    case .hurry: "ca31b3693f314a24818f46e37952e8bf"
    case .internalError: "e86b95bcaf8c40e7a42a49e13636d9df"
    case .preempted: "b594e9d1513a42eb86c4eff9702a823b"
    case .preemptionAbsent: "68fc2005f64f4f12b23b530dd6b98c20"
    case .preemptionAcknowledged: "d5cb4c47322542389dbb01b34d40ad5e"
    case .preemptionCancelled: "779dbd865e774daea837f7db4c0b2491"
    case .preemptionLeaving: "613c2c21b2834ffeaf74658c6c454c57"
    case .preemptionNotice: "34f3f15250544d8e8a4fdf742a21b22c"
    case .preemptionSource: "f37ed1c5d2e4486598ce4990136ee77b"
    case .preemptionUnacknowledged: "4b3a60975bb348d7b223a23c3a185f48"
    case .preemptionWarning: "4929be9086b04cf6aa02b0342581dc79"
    case .published: "b9b53acc96d04a0cbdab05bfb8d9a29f"
    case .recovered: "20b6e8a661c14d1da35a8782e159c958"
    case .reloadRefused: "dfbfddaab23e4bab802e36a72870d5ce"
    case .reloaded: "d1e304c7df7c442a8059fab9f4b2a771"
    case .recordUnusable: "ceb7164aa00b436981d2943b93ff99b6"
    case .repeatsFailure: "78413d318fce42898af7935caa6b84e5"
    case .replayDiffers: "ab0f72e39ac04cb2b777437141c732db"
    case .replayIdentical: "ce967dc484a44b059fa237a7eafff9cb"
    case .restoreDied: "e572b7a8c1bd39f629ee2ff3df926662"
    case .ringLost: "8d3c815c62aad3969a9ed1719b6762c7"
    case .saveTimedOut: "f58ef3b2f7104dabaa89d756e9df5049"
    case .saveTooLong: "02ba8da9c0f34ea1aa07b0dbb29d0931"
    case .saveUnanswered: "9dd0d492be2a12bdec1bb35576b6c14c"
    case .saved: "c70f3943c7c04253b689ff210ff32466"
    case .serviceManager: "2fe98d8926694c3080f4794cd49faf81"
    case .skipBatch: "b8bc8c848c434113b5e8d3219237332f"
    case .stageFailed: "c5a9102a68b246929528d2b180c699cd"
    case .stageRecovered: "9882a21322314813a602db3ad7bb958f"
    case .startFailed: "f4fb30f4177847d192b366ab683cf4e2"
    case .stopRequested: "83b5a484ccdf45aa98a6749b7a4a1da8"
    case .storeRepaired: "c99bc264c91e42828eee00280d876ab3"
    }
  }

  /// Of one that is no warning.
  var priority: Journal.Priority {
    switch self {
    case .finalStateLost, .gaveUp, .internalError, .startFailed: .error
    case .attemptEnded, .attemptOrphaned, .finished, .preempted, .preemptionCancelled, .preemptionLeaving,
      .stopRequested:
      .notice
    default: .info
    }
  }
}
