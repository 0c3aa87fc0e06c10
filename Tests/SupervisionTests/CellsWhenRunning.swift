// A cell is one line, however long.
// swift-format-ignore-file

/// While it runs.
let cellsWhenRunning: [String: String] = [
  "running, a program without the protocol": """
    attached                        | running [- -]: offer 0; hang +30s
    stepped to 61                   | running [- -] at 61: stage +0s; durable +598s; hang +3s
    heartbeat                       | running [- -]
    finished 61 in the offered slot | running [- -] finished 61: -stage -hang
    finished 61 in no slot          | running [- -] finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- -] finished 61: -stage -hang
    exit 0                          | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40
    loaded a damaged resume point   | running [- -]: kill
    staged before the first step    | running [0 -]
    initial staging failed          | running [- -] failing: 'stageFailed(errno: 28)'
    adopted                         | running [- -] durable 3: keep
    durable                         | running [- -] publishNext
    hang                            | nothing
    stop                            | terminating [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang -saveDeadline; terminate; kill +24s
    checkpoint                      | running [- -]: 'checkpointUnavailable'
    notice                          | running [- -] publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left     | running [- -] publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | running [- -] publishNext for preemption: 'warned cloud'
    policy                          | running [- -]: -hang
    """,
  "running, attached, no step yet": """
    attached                        | running [- -]
    stepped to 61                   | running [- -] at 61: stage +0s; durable +598s; hang +3s
    heartbeat                       | running [- -]
    finished 61 in the offered slot | running [61 -] finished 61: -stage -hang
    finished 61 in no slot          | running [- -] finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- -] finished 61: -stage -hang
    exit 0                          | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -]: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40
    loaded a damaged resume point   | running [- -]: kill
    staged before the first step    | running [0 -]: offer 1
    initial staging failed          | running [- -] failing: 'stageFailed(errno: 28)'
    adopted                         | running [- -] durable 3: keep
    durable                         | running [- -] publishNext
    hang                            | running [- -]: hang +28s
    stop                            | terminating [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang -saveDeadline; terminate; kill +5s
    checkpoint                      | running [- -]: 'checkpointUnavailable'
    notice                          | running [- -] publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +107s
    second notice, no time left     | running [- -] publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1250ms
    warning                         | running [- -] publishNext for preemption: 'warned cloud'
    policy                          | running [- -]: -hang; hang +8s
    """,
  "running, nothing staged": """
    attached                        | running [- -] at 60
    stepped to 61                   | running [- -] at 61
    heartbeat                       | running [- -] at 60
    finished 61 in the offered slot | running [61 -] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [- -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [- -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -] at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 at 60
    loaded a damaged resume point   | running [- -] at 60: kill
    staged before the first step    | running [0 -] at 60: offer 1
    initial staging failed          | running [- -] at 60 failing: 'stageFailed(errno: 28)'
    adopted                         | running [- -] durable 3 at 60: keep
    stage                           | running [- -] save 1 in 0 at 60: withdraw; request save 1 in 0; stage +60s
    durable                         | running [- -] save 1 in 0 at 60 publishNext: withdraw; request save 1 in 0; stage +60s
    hang                            | running [- -] at 60: hang +1s
    stop                            | saving [- -] saveAndLeave 1 in 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 1 in 0 by +11500ms
    checkpoint                      | running [- -] save 1 in 0 at 60 publishNext for request: withdraw; request save 1 in 0; stage +60s
    notice                          | running [- -] save 1 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 1 in 0; stage +60s; preemption +107s
    second notice, no time left     | running [- -] save 1 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 1 in 0; stage +60s; preemption +1250ms
    warning                         | running [- -] save 1 in 0 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 1 in 0; stage +60s
    policy                          | running [- -] at 60: stage +0s; durable +58s; -hang; hang +-1s
    """,
  "running, first save requested": """
    attached                        | running [- -] save 1 in 0 at 60
    stepped to 61                   | running [- -] save 1 in 0 at 61
    heartbeat                       | running [- -] save 1 in 0 at 60
    staged 61                       | running [61 -] at 60: offer 1; stage +10s
    missed                          | running [- -] at 60: offer 0; stage +1s
    staging failed                  | running [- -] at 60 failing: 'stageFailed(errno: 28)'; offer 0; stage +1s
    finished 61 in the offered slot | running [- -] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [- -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [- -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [- -] save 1 in 0 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -] save 1 in 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -] save 1 in 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -] save 1 in 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -] save 1 in 0 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 1 in 0 at 60
    loaded a damaged resume point   | running [- -] save 1 in 0 at 60: kill
    adopted                         | running [- -] durable 3 save 1 in 0 at 60: keep
    durable                         | running [- -] save 1 in 0 at 60 publishNext
    hang                            | running [- -] save 1 in 0 at 60: hang +1s
    stop                            | saving [- -] saveAndLeave 2 in 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; request saveAndLeave 2 in 0 by +11500ms
    checkpoint                      | running [- -] save 1 in 0 at 60 publishNext for request
    notice                          | running [- -] save 1 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +107s
    second notice, no time left     | running [- -] save 1 in 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1250ms
    warning                         | running [- -] save 1 in 0 at 60 publishNext for preemption: 'warned cloud'
    policy                          | running [- -] save 1 in 0 at 60: durable +58s; -hang; hang +-1s
    """,
  "running, 50 staged": """
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
    durable                         | running [50 -] publishes 50 of 0 at 60: publish 50 of 0 for interval=600s
    hang                            | running [50 -] at 60: hang +1s
    stop                            | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 2 in 1 by +11500ms
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for request: withdraw; request save 2 in 1; stage +60s
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 2 in 1; stage +60s; preemption +106999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 2 in 1; stage +60s; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 2 in 1; stage +60s
    policy                          | running [50 -] at 60: stage +0s; durable +58s; -hang; hang +-1s
    """,
  "running, save requested": """
    attached                        | running [50 -] save 2 in 1 at 60
    stepped to 61                   | running [50 -] save 2 in 1 at 61
    heartbeat                       | running [50 -] save 2 in 1 at 60
    staged 61                       | running [50 61] at 60: offer 0; stage +10s
    missed                          | running [50 -] at 60: offer 1; stage +1s
    staging failed                  | running [50 -] at 60 failing: 'stageFailed(errno: 28)'; offer 1; stage +1s
    finished 61 in the offered slot | running [50 -] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [50 -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [50 -] save 2 in 1 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] save 2 in 1 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] save 2 in 1 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] save 2 in 1 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] save 2 in 1 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 2 in 1 at 60
    loaded a damaged resume point   | running [50 -] save 2 in 1 at 60: kill
    adopted                         | running [50 -] durable 3 save 2 in 1 at 60: keep
    durable                         | running [50 -] save 2 in 1 publishes 50 of 0 at 60: publish 50 of 0 for interval=600s
    hang                            | running [50 -] save 2 in 1 at 60: hang +1s
    stop                            | saving [50 -] saveAndLeave 3 in 1 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; request saveAndLeave 3 in 1 by +11500ms
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for request
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption: 'warned cloud'
    policy                          | running [50 -] save 2 in 1 at 60: durable +58s; -hang; hang +-1s
    """,
  "running, 50 is published": """
    attached                         | running [50 -] publishes 50 of 0 at 60
    stepped to 61                    | running [50 -] publishes 50 of 0 at 61
    heartbeat                        | running [50 -] publishes 50 of 0 at 60
    finished 61 in the offered slot  | running [50 61] publishes 50 of 0 at 60 finished 61: -stage -hang
    finished 61 in no slot           | running [50 -] publishes 50 of 0 at 60 finished 61: -stage -hang
    finished 61 in an invalid slot   | running [50 -] publishes 50 of 0 at 60 finished 61: -stage -hang
    published                        | running [50 -] durable 50 at 60: keep; durable +600s
    publishing failed                | running [50 -] at 60: durable +30s
    exit 0                           | clearing [50 -] publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 -] publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 -] publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 -] publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 -] publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | running [- -] durable 40 publishes 50 of 0 at 60
    loaded a damaged resume point    | running [50 -] publishes 50 of 0 at 60: kill
    publishing failed, image damaged | running [- -] at 60: offer 0; durable +30s
    adopted                         | running [50 -] durable 3 publishes 50 of 0 at 60: keep
    stage                            | running [50 -] save 2 in 1 publishes 50 of 0 at 60: withdraw; request save 2 in 1; stage +60s
    hang                             | running [50 -] publishes 50 of 0 at 60: hang +1s
    stop                             | saving [50 -] saveAndLeave 2 in 1 publishes 50 of 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 2 in 1 by +11500ms
    checkpoint                       | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for request: withdraw; request save 2 in 1; stage +60s
    notice                           | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 2 in 1; stage +60s; preemption +106999ms
    second notice, no time left      | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 2 in 1; stage +60s; preemption +1249ms
    warning                          | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 2 in 1; stage +60s
    policy                           | running [50 -] publishes 50 of 0 at 60: stage +0s; -hang; hang +-1s
    """,
  "running, 50 is published, save requested": """
    attached                         | running [50 -] save 2 in 1 publishes 50 of 0 at 60
    stepped to 61                    | running [50 -] save 2 in 1 publishes 50 of 0 at 61
    heartbeat                        | running [50 -] save 2 in 1 publishes 50 of 0 at 60
    staged 61                        | running [50 61] publishes 50 of 0 at 60: stage +10s
    missed                           | running [50 -] publishes 50 of 0 at 60: offer 1; stage +1s
    staging failed                   | running [50 -] publishes 50 of 0 at 60 failing: 'stageFailed(errno: 28)'; offer 1; stage +1s
    finished 61 in the offered slot  | running [50 -] publishes 50 of 0 at 60 finished 61: -stage -hang
    finished 61 in no slot           | running [50 -] publishes 50 of 0 at 60 finished 61: -stage -hang
    finished 61 in an invalid slot   | running [50 -] publishes 50 of 0 at 60 finished 61: -stage -hang
    published                        | running [50 -] durable 50 save 2 in 1 at 60: keep; durable +600s
    publishing failed                | running [50 -] save 2 in 1 at 60: durable +30s
    exit 0                           | clearing [50 -] save 2 in 1 publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 -] save 2 in 1 publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 -] save 2 in 1 publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 -] save 2 in 1 publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 -] save 2 in 1 publishes 50 of 0 at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | running [- -] durable 40 save 2 in 1 publishes 50 of 0 at 60
    loaded a damaged resume point    | running [50 -] save 2 in 1 publishes 50 of 0 at 60: kill
    publishing failed, image damaged | running [- -] save 2 in 1 at 60: durable +30s
    adopted                         | running [50 -] durable 3 save 2 in 1 publishes 50 of 0 at 60: keep
    hang                             | running [50 -] save 2 in 1 publishes 50 of 0 at 60: hang +1s
    stop                             | saving [50 -] saveAndLeave 3 in 1 publishes 50 of 0 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; request saveAndLeave 3 in 1 by +11500ms
    checkpoint                       | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for request
    notice                           | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left      | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                          | running [50 -] save 2 in 1 publishes 50 of 0 at 60 publishNext for preemption: 'warned cloud'
    policy                           | running [50 -] save 2 in 1 publishes 50 of 0 at 60: -hang; hang +-1s
    """,
  "running, no slot is free": """
    attached                         | running [50 60] publishes 50 of 0 at 61 waiting
    stepped to 61                    | running [50 60] publishes 50 of 0 at 61 waiting
    heartbeat                        | running [50 60] publishes 50 of 0 at 61 waiting
    finished 61 in the offered slot  | running [50 60] publishes 50 of 0 at 61 finished 61 waiting: -stage -hang
    finished 61 in no slot           | running [50 60] publishes 50 of 0 at 61 finished 61 waiting: -stage -hang
    finished 61 in an invalid slot   | running [50 60] publishes 50 of 0 at 61 finished 61 waiting: -stage -hang
    published                        | running [- 60] durable 50 save 3 in 0 at 61: keep; offer 0; durable +600s; withdraw; request save 3 in 0; stage +60s
    publishing failed                | running [- 60] save 3 in 0 at 61: offer 0; durable +30s; withdraw; request save 3 in 0; stage +60s
    exit 0                           | clearing [50 60] publishes 50 of 0 at 61 waiting: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 60] publishes 50 of 0 at 61 waiting: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 60] publishes 50 of 0 at 61 waiting: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 60] publishes 50 of 0 at 61 waiting: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 60] publishes 50 of 0 at 61 waiting: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | running [- -] durable 40 publishes 50 of 0 at 61 waiting: offer 1
    loaded a damaged resume point    | running [50 60] publishes 50 of 0 at 61 waiting: kill
    publishing failed, image damaged | running [- 60] save 3 in 0 at 61: offer 0; durable +30s; withdraw; request save 3 in 0; stage +60s
    adopted                         | running [50 60] durable 3 publishes 50 of 0 at 61 waiting: keep
    hang                             | running [50 60] publishes 50 of 0 at 61 waiting: hang +1s
    stop                             | saving [50 60] publishes 50 of 0 at 61 waiting stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms
    checkpoint                       | running [50 60] publishes 50 of 0 at 61 waiting publishNext for request
    notice                           | running [50 60] publishes 50 of 0 at 61 waiting publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left      | running [50 60] publishes 50 of 0 at 61 waiting publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                          | running [50 60] publishes 50 of 0 at 61 waiting publishNext for preemption: 'warned cloud'
    policy                           | running [50 60] publishes 50 of 0 at 61 waiting: stage +0s; -hang; hang +-1s
    """,
  "running, staging fails": """
    attached                        | running [50 -] at 60 failing
    stepped to 61                   | running [50 -] at 61 failing
    heartbeat                       | running [50 -] at 60 failing
    finished 61 in the offered slot | running [50 61] at 60 finished 61 failing: -stage -hang
    finished 61 in no slot          | running [50 -] at 60 finished 61 failing: -stage -hang
    finished 61 in an invalid slot  | running [50 -] at 60 finished 61 failing: -stage -hang
    exit 0                          | clearing [50 -] at 60 failing: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] at 60 failing: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] at 60 failing: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] at 60 failing: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] at 60 failing: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 at 60 failing: offer 0
    loaded a damaged resume point   | running [50 -] at 60 failing: kill
    adopted                         | running [50 -] durable 3 at 60 failing: keep
    stage                           | running [50 -] save 3 in 1 at 60 failing: withdraw; request save 3 in 1; stage +60s
    durable                         | running [50 -] publishes 50 of 0 at 60 failing: publish 50 of 0 for interval=600s
    hang                            | running [50 -] at 60 failing: hang +1s
    stop                            | saving [50 -] saveAndLeave 3 in 1 at 60 stops failing: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 3 in 1 by +11500ms
    checkpoint                      | running [50 -] save 3 in 1 at 60 publishNext for request failing: withdraw; request save 3 in 1; stage +60s
    notice                          | running [50 -] save 3 in 1 at 60 publishNext for preemption preempting failing: 'noticed cloud in 120s'; withdraw; request save 3 in 1; stage +60s; preemption +106999ms
    second notice, no time left     | running [50 -] save 3 in 1 at 60 publishNext for preemption preempting failing: 'noticed cloud in 5s'; withdraw; request save 3 in 1; stage +60s; preemption +1249ms
    warning                         | running [50 -] save 3 in 1 at 60 publishNext for preemption failing: 'warned cloud'; withdraw; request save 3 in 1; stage +60s
    policy                          | running [50 -] at 60 failing: stage +0s; durable +58s; -hang; hang +-1s
    """,
  "running, finish reported": """
    attached                        | running [50 60] at 60 finished 60: offer 0
    stepped to 61                   | running [50 60] at 61: offer 0; stage +1s; hang +3s
    heartbeat                       | running [50 60] at 60 finished 60
    finished 61 in the offered slot | running [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | running [50 60] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | running [50 60] at 60 finished 61: -stage -hang
    exit 0                          | clearing [50 60] at 60 finished 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 60] at 60 finished 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 60] at 60 finished 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 60] at 60 finished 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 60] at 60 finished 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 at 60 finished 60: offer 0
    loaded a damaged resume point   | running [50 60] at 60 finished 60: kill
    adopted                         | running [50 60] durable 3 at 60 finished 60: keep
    durable                         | running [50 60] publishes 60 of 1 at 60 finished 60: offer 0; publish 60 of 1 for interval=600s
    stop                            | terminating [50 60] at 60 finished 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang -saveDeadline; kill +5s
    checkpoint                      | running [50 60] publishes 60 of 1 at 60 finished 60: offer 0; publish 60 of 1 for request
    notice                          | running [50 60] publishes 60 of 1 at 60 finished 60 preempting: 'noticed cloud in 120s'; offer 0; publish 60 of 1 for preemption; preemption +106999ms
    second notice, no time left     | running [50 60] publishes 60 of 1 at 60 finished 60 preempting: 'noticed cloud in 5s'; offer 0; publish 60 of 1 for preemption; preemption +1249ms
    warning                         | running [50 60] publishes 60 of 1 at 60 finished 60: 'warned cloud'; offer 0; publish 60 of 1 for preemption
    policy                          | running [50 60] at 60 finished 60: durable +58s; -hang
    """,
  "running, preemption ahead": """
    attached                        | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting
    stepped to 61                   | running [50 -] save 2 in 1 at 61 publishNext for preemption preempting
    heartbeat                       | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting
    staged 61                       | running [50 61] publishes 61 of 1 at 60 preempting: offer 0; stage +10s; publish 61 of 1 for preemption
    missed                          | running [50 -] publishes 50 of 0 at 60 preempting: offer 1; stage +1s; publish 50 of 0 for preemption
    staging failed                  | running [50 -] publishes 50 of 0 at 60 preempting failing: 'stageFailed(errno: 28)'; offer 1; stage +1s; publish 50 of 0 for preemption
    finished 61 in the offered slot | running [50 -] publishes 50 of 0 at 60 finished 61 preempting: -stage -hang; offer 1; publish 50 of 0 for preemption
    finished 61 in no slot          | running [50 -] publishes 50 of 0 at 60 finished 61 preempting: -stage -hang; offer 1; publish 50 of 0 for preemption
    finished 61 in an invalid slot  | running [50 -] publishes 50 of 0 at 60 finished 61 preempting: -stage -hang; offer 1; publish 50 of 0 for preemption
    exit 0                          | clearing [50 -] save 2 in 1 at 60 publishNext for preemption preempting: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] save 2 in 1 at 60 publishNext for preemption preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] save 2 in 1 at 60 publishNext for preemption preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] save 2 in 1 at 60 publishNext for preemption preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] save 2 in 1 at 60 publishNext for preemption preempting: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | running [- -] durable 40 save 2 in 1 at 60 publishNext for preemption preempting
    loaded a damaged resume point   | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: kill
    adopted                         | running [50 -] durable 3 save 2 in 1 at 60 publishNext for preemption preempting: keep
    durable                         | running [50 -] save 2 in 1 publishes 50 of 0 at 60 preempting: publish 50 of 0 for preemption
    hang                            | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: hang +1s
    preemption                      | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: preemption +104999ms
    stop                            | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stops preempting: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; request saveAndLeave 3 in 1 by +11500ms
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: preemption +104999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'warned cloud'
    notice cancelled                | running [50 -] save 2 in 1 at 60 publishNext for preemption: -preemption; 'cancelled cloud'
    policy                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: durable +58s; -hang; hang +-1s
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for preemption+request preempting
    """,
  "running, no heartbeat": """
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
    durable                         | running [50 -] publishes 50 of 0 at 60: publish 50 of 0 for interval=600s
    hang                            | terminating [50 -] at 60: 'hung 6s'; -stage; kill
    stop                            | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 2 in 1 by +11500ms
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for request: withdraw; request save 2 in 1; stage +60s
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 2 in 1; stage +60s; preemption +106999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 2 in 1; stage +60s; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 2 in 1; stage +60s
    policy                          | running [50 -] at 60: stage +0s; durable +54s; -hang; hang +-5s
    """,
  "running, no heartbeat, offers stacks": """
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
    durable                         | running [50 -] publishes 50 of 0 at 60: publish 50 of 0 for interval=600s
    hang                            | terminating [50 -] at 60: 'hung 6s'; -stage; stacks; kill +2s
    stop                            | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption -stage -durable -hang; saveDeadline +11500ms; withdraw; request saveAndLeave 2 in 1 by +11500ms
    checkpoint                      | running [50 -] save 2 in 1 at 60 publishNext for request: withdraw; request save 2 in 1; stage +60s
    notice                          | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 120s'; withdraw; request save 2 in 1; stage +60s; preemption +106999ms
    second notice, no time left     | running [50 -] save 2 in 1 at 60 publishNext for preemption preempting: 'noticed cloud in 5s'; withdraw; request save 2 in 1; stage +60s; preemption +1249ms
    warning                         | running [50 -] save 2 in 1 at 60 publishNext for preemption: 'warned cloud'; withdraw; request save 2 in 1; stage +60s
    policy                          | running [50 -] at 60: stage +0s; durable +54s; -hang; hang +-5s
    """,
]
