// A cell is one line, however long.
// swift-format-ignore-file

/// Before a trainer runs.
let cellsWhenStarting: [String: String] = [
  "idle": """
    begin                       | starting [- -]: keep; start 1 from beginning
    begin with 50 staged        | starting [50 -]: keep; start 1 from staged 50
    resume point damaged        | idle [- -] durable 40
    adopted                     | idle [- -] durable 3: keep
    stop                        | done [- -] stops: 'stopping in 25s'; graceEnd +25s; -timers; keep; leave stopped
    checkpoint                  | idle [- -]: 'checkpointUnavailable'
    notice                      | idle [- -] preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left | idle [- -] preempting: 'noticed cloud in 5s'; preemption +0s
    warning                     | idle [- -]: 'warned cloud'
    policy                      | idle [- -]
    """,
  "starting": """
    started                         | running [- -]
    startFailed notFound            | done [- -]: 'startFailed notFound'; -timers; keep; leave commandNotFound
    startFailed notExecutable       | done [- -]: 'startFailed notExecutable'; -timers; keep; leave commandNotExecutable
    startFailed noRoom              | done [- -]: 'startFailed noRoom'; -timers; keep; leave cannotStart
    startFailed EMFILE              | starting [- -] stalls 1: 'startFailed other(errno: 24)'; keep; start 2 from beginning
    attached                        | starting [- -]: offer 0
    stepped to 61                   | starting [- -] at 61
    heartbeat                       | starting [- -]
    finished 61 in the offered slot | starting [- -] finished 61: -stage -hang
    finished 61 in no slot          | starting [- -] finished 61: -stage -hang
    finished 61 in an invalid slot  | starting [- -] finished 61: -stage -hang
    resume point damaged            | starting [- -] durable 40
    loaded a damaged resume point   | starting [- -]
    staged before the first step    | starting [0 -]
    initial staging failed          | starting [- -] failing: 'stageFailed(errno: 28)'
    adopted                     | starting [- -] durable 3: keep
    stop                            | starting [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | starting [- -]: 'checkpointUnavailable'
    notice                          | starting [- -] publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left     | starting [- -] publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | starting [- -] publishNext for preemption: 'warned cloud'
    policy                          | starting [- -]
    """,
  "starting, stop requested": """
    started                         | terminating [- -] stops: -saveDeadline; terminate; kill +22s
    startFailed notFound            | done [- -] stops: 'startFailed notFound'; -timers; keep; leave stopped
    startFailed notExecutable       | done [- -] stops: 'startFailed notExecutable'; -timers; keep; leave stopped
    startFailed noRoom              | done [- -] stops: 'startFailed noRoom'; -timers; keep; leave stopped
    startFailed EMFILE              | done [- -] stops: 'startFailed other(errno: 24)'; -timers; keep; leave stopped
    attached                        | starting [- -] stops: offer 0
    stepped to 61                   | starting [- -] at 61 stops
    heartbeat                       | starting [- -] stops
    finished 61 in the offered slot | starting [- -] finished 61 stops: -stage -hang
    finished 61 in no slot          | starting [- -] finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | starting [- -] finished 61 stops: -stage -hang
    resume point damaged            | starting [- -] durable 40 stops
    loaded a damaged resume point   | starting [- -] stops
    staged before the first step    | starting [0 -] stops
    initial staging failed          | starting [- -] stops failing: 'stageFailed(errno: 28)'
    adopted                     | starting [- -] durable 3 stops: keep
    graceEnd                        | done [- -] stops: kill; keep; leave stopped
    stop                            | starting [- -] stops
    checkpoint                      | starting [- -] stops: 'checkpointUnavailable'
    notice                          | starting [- -] stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | starting [- -] stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | starting [- -] stops: 'warned cloud'
    policy                          | starting [- -] stops
    """,
  "starting again, 50 staged": """
    started                         | running [50 -]
    startFailed notFound            | starting [50 -] stalls 1: 'startFailed notFound'; keep; start 3 from staged 50
    startFailed notExecutable       | starting [50 -] stalls 1: 'startFailed notExecutable'; keep; start 3 from staged 50
    startFailed noRoom              | starting [50 -] stalls 1: 'startFailed noRoom'; keep; start 3 from staged 50
    startFailed EMFILE              | starting [50 -] stalls 1: 'startFailed other(errno: 24)'; keep; start 3 from staged 50
    attached                        | starting [50 -]: offer 1
    stepped to 61                   | starting [50 -] at 61
    heartbeat                       | starting [50 -]
    finished 61 in the offered slot | starting [50 -] finished 61: -stage -hang
    finished 61 in no slot          | starting [50 -] finished 61: -stage -hang
    finished 61 in an invalid slot  | starting [50 -] finished 61: -stage -hang
    resume point damaged            | starting [- -] durable 40
    loaded a damaged resume point   | starting [50 -]
    adopted                     | starting [50 -] durable 3: keep
    stop                            | starting [50 -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | starting [50 -]: 'checkpointUnavailable'
    notice                          | starting [50 -] publishNext for preemption preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left     | starting [50 -] publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | starting [50 -] publishNext for preemption: 'warned cloud'
    policy                          | starting [50 -]
    """,
  "idle, preemption ahead": """
    begin                       | starting [- -] preempting: keep; start 1 from beginning
    begin with 50 staged        | starting [50 -] preempting: keep; start 1 from staged 50
    resume point damaged        | idle [- -] durable 40 preempting
    adopted                     | idle [- -] durable 3 preempting: keep
    stop                        | done [- -] stops preempting: 'stopping in 25s'; graceEnd +25s; -timers; keep; 'survived with 0, 118s spare'; leave stopped
    checkpoint                  | idle [- -] preempting: 'checkpointUnavailable'
    notice                      | idle [- -] preempting: preemption +93s
    second notice, no time left | idle [- -] preempting: 'noticed cloud in 5s'; preemption +0s
    warning                     | idle [- -] preempting: 'warned cloud'
    notice cancelled            | idle [- -]: -preemption; 'cancelled cloud'
    policy                      | idle [- -] preempting
    """,
  "starting, preemption ahead": """
    started                         | running [- -] publishNext for preemption preempting: preemption +93s
    startFailed notFound            | done [- -] publishNext for preemption preempting: 'startFailed notFound'; -timers; keep; leave commandNotFound
    startFailed notExecutable       | done [- -] publishNext for preemption preempting: 'startFailed notExecutable'; -timers; keep; leave commandNotExecutable
    startFailed noRoom              | done [- -] publishNext for preemption preempting: 'startFailed noRoom'; -timers; keep; leave cannotStart
    startFailed EMFILE              | starting [- -] publishNext for preemption preempting stalls 1: 'startFailed other(errno: 24)'; keep; start 2 from beginning
    attached                        | starting [- -] publishNext for preemption preempting: offer 0
    stepped to 61                   | starting [- -] at 61 publishNext for preemption preempting
    heartbeat                       | starting [- -] publishNext for preemption preempting
    finished 61 in the offered slot | starting [- -] finished 61 publishNext for preemption preempting: -stage -hang
    finished 61 in no slot          | starting [- -] finished 61 publishNext for preemption preempting: -stage -hang
    finished 61 in an invalid slot  | starting [- -] finished 61 publishNext for preemption preempting: -stage -hang
    resume point damaged            | starting [- -] durable 40 publishNext for preemption preempting
    loaded a damaged resume point   | starting [- -] publishNext for preemption preempting
    staged before the first step    | starting [0 -] publishNext for preemption preempting
    initial staging failed          | starting [- -] publishNext for preemption preempting failing: 'stageFailed(errno: 28)'
    adopted                     | starting [- -] durable 3 publishNext for preemption preempting: keep
    preemption                      | starting [- -] publishNext for preemption preempting: preemption +93s
    stop                            | starting [- -] publishNext for preemption stops preempting: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | starting [- -] publishNext for preemption preempting: 'checkpointUnavailable'
    notice                          | starting [- -] publishNext for preemption preempting: preemption +93s
    second notice, no time left     | starting [- -] publishNext for preemption preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | starting [- -] publishNext for preemption preempting: 'warned cloud'
    notice cancelled                | starting [- -] publishNext for preemption: -preemption; 'cancelled cloud'
    policy                          | starting [- -] publishNext for preemption preempting
    """,
]
