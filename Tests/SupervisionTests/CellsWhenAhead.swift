// A cell is one line, however long.
// swift-format-ignore-file

/// While a request waits for a moment ahead, or nothing is made durable.
let cellsWhenAhead: [String: String] = [
  "running, step 100 requested": """
    attached                        | running [- 50] save 3 in 0 at step 100 at 60
    stepped to 61                   | running [- 50] save 3 in 0 at step 100 at 61
    heartbeat                       | running [- 50] save 3 in 0 at step 100 at 60
    staged 61                       | running [61 -] save 4 in 1 at step 100 at 60: offer 1; stage +10s; request save 4 in 1 at step 100
    missed                          | running [- 50] save 4 in 0 at step 100 at 60: stage +1s; request save 4 in 0 at step 100
    staging failed                  | running [- 50] save 4 in 0 at step 100 at 60 failing: 'stageFailed(errno: 28)'; stage +1s; request save 4 in 0 at step 100
    finished 61 in the offered slot | running [61 50] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [- 50] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- 50] at 60 finished 61: -stage -hang
    exit 0                          | clearing [- 50] save 3 in 0 at step 100 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- 50] save 3 in 0 at step 100 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- 50] save 3 in 0 at step 100 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- 50] save 3 in 0 at step 100 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- 50] save 3 in 0 at step 100 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 3 in 0 at step 100 at 60
    loaded a damaged resume point   | running [- 50] save 3 in 0 at step 100 at 60: kill
    adopted                         | running [- 50] durable 3 save 3 in 0 at step 100 at 60: keep
    stage                           | running [- 50] save 4 in 0 at 60: withdraw; request save 4 in 0; stage +60s
    durable                         | running [- 50] save 3 in 0 at step 100 publishes 50 of 1 at 60: publish 50 of 1 for interval=600s
    hang                            | running [- 50] save 3 in 0 at step 100 at 60: hang +1s
    stop                            | saving [- 50] saveAndLeave 4 in 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 4 in 0 by +11500ms
    checkpoint                      | running [- 50] save 4 in 0 at 60 publishNext for request: withdraw; request save 4 in 0; stage +60s
    notice                          | running [- 50] save 4 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 4 in 0; stage +60s; preemption +105999ms
    second notice, no time left     | running [- 50] save 4 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 4 in 0; stage +60s; preemption +249ms
    warning                         | running [- 50] save 4 in 0 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 4 in 0; stage +60s
    policy                          | running [- 50] save 5 in 0 at step 100 at 60: stage +0s; durable +56s; request cancel 4 in 0; request save 5 in 0 at step 100; -hang; hang +-1s
    """,
  "running, step 64 requested, no time left": """
    attached                        | running [- 50] save 3 in 0 at step 64 at 60
    stepped to 61                   | running [- 50] save 3 in 0 at step 64 at 61
    heartbeat                       | running [- 50] save 3 in 0 at step 64 at 60
    staged 61                       | running [61 -] save 4 in 1 at step 64 at 60: offer 1; stage +10s; request save 4 in 1 at step 64
    missed                          | running [- 50] save 4 in 0 at step 64 at 60: stage +1s; request save 4 in 0 at step 64
    staging failed                  | running [- 50] save 4 in 0 at step 64 at 60 failing: 'stageFailed(errno: 28)'; stage +1s; request save 4 in 0 at step 64
    finished 61 in the offered slot | running [61 50] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [- 50] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- 50] at 60 finished 61: -stage -hang
    exit 0                          | clearing [- 50] save 3 in 0 at step 64 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- 50] save 3 in 0 at step 64 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- 50] save 3 in 0 at step 64 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- 50] save 3 in 0 at step 64 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- 50] save 3 in 0 at step 64 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 3 in 0 at step 64 at 60
    loaded a damaged resume point   | running [- 50] save 3 in 0 at step 64 at 60: kill
    adopted                         | running [- 50] durable 3 save 3 in 0 at step 64 at 60: keep
    stage                           | running [- 50] save 3 in 0 at step 64 at 60: stage +200ms
    durable                         | running [- 50] save 3 in 0 at step 64 publishes 50 of 1 at 60: publish 50 of 1 for interval=600s
    hang                            | running [- 50] save 3 in 0 at step 64 at 60: hang +1s
    stop                            | saving [- 50] saveAndLeave 4 in 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 4 in 0 by +11500ms
    checkpoint                      | running [- 50] save 3 in 0 at step 64 at 60 publishNext for request: stage +200ms
    notice                          | running [- 50] save 3 in 0 at step 64 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; stage +200ms; preemption +105999ms
    second notice, no time left     | running [- 50] save 3 in 0 at step 64 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; stage +200ms; preemption +249ms
    warning                         | running [- 50] save 3 in 0 at step 64 at 60 publishNext for preemption: 'warned cloud'; stage +200ms
    policy                          | running [- 50] save 5 in 0 at step 64 at 60: stage +0s; durable +56s; request cancel 4 in 0; request save 5 in 0 at step 64; -hang; hang +-1s
    """,
  "running, end of the epoch requested": """
    attached                        | running [- 50] save 3 in 0 at end of 1 epochs (validation) at 60
    stepped to 61                   | running [- 50] save 3 in 0 at end of 1 epochs (validation) at 61
    heartbeat                       | running [- 50] save 3 in 0 at end of 1 epochs (validation) at 60
    staged 61                       | running [61 50] at 60: offer 1; stage +10s
    missed                          | running [- 50] save 4 in 0 at end of 1 epochs (validation) at 60: stage +1s; request save 4 in 0 at end of 1 epochs (validation)
    staging failed                  | running [- 50] save 4 in 0 at end of 1 epochs (validation) at 60 failing: 'stageFailed(errno: 28)'; stage +1s; request save 4 in 0 at end of 1 epochs (validation)
    finished 61 in the offered slot | running [61 50] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [- 50] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- 50] at 60 finished 61: -stage -hang
    exit 0                          | clearing [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 3 in 0 at end of 1 epochs (validation) at 60
    loaded a damaged resume point   | running [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: kill
    adopted                         | running [- 50] durable 3 save 3 in 0 at end of 1 epochs (validation) at 60: keep
    stage                           | running [- 50] save 4 in 0 at 60: withdraw; request save 4 in 0; stage +60s
    durable                         | running [- 50] save 3 in 0 at end of 1 epochs (validation) publishes 50 of 1 at 60: publish 50 of 1 for interval=600s
    hang                            | running [- 50] save 3 in 0 at end of 1 epochs (validation) at 60: hang +1s
    stop                            | saving [- 50] saveAndLeave 4 in 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 4 in 0 by +11500ms
    checkpoint                      | running [- 50] save 4 in 0 at 60 publishNext for request: withdraw; request save 4 in 0; stage +60s
    notice                          | running [- 50] save 4 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 4 in 0; stage +60s; preemption +105999ms
    second notice, no time left     | running [- 50] save 4 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 4 in 0; stage +60s; preemption +249ms
    warning                         | running [- 50] save 4 in 0 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 4 in 0; stage +60s
    policy                          | running [- 50] save 5 in 0 at end of 1 epochs (validation) at 60: stage +0s; durable +56s; request cancel 4 in 0; request save 5 in 0 at end of 1 epochs (validation); -hang; hang +-1s
    """,
  "running, nothing is made durable": """
    attached                        | running [50 -] at 60
    stepped to 61                   | running [50 -] at 61
    heartbeat                       | running [50 -] at 60
    finished 61 in the offered slot | running [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [50 -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | running [50 -] at 60: kill
    adopted                         | running [50 -] durable 3 at 60: keep
    stage                           | running [50 -] save 2 in 1 at 60: withdraw; request save 2 in 1; stage +60s
    hang                            | running [50 -] at 60: hang +1s
    stop                            | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 2 in 1 by +11500ms
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for request: withdraw; request save 2 in 1; stage +60s
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 2 in 1; stage +60s; preemption +106999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 2 in 1; stage +60s; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 2 in 1; stage +60s
    policy                          | running [50 -] at 60: stage +0s; durable +58s; -hang; hang +-1s
    """,
]
