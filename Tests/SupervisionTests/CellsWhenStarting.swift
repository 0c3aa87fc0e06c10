// A cell is one line, however long.
// swift-format-ignore-file

/// Before a trainer runs.
let cellsWhenStarting: [String: String] = [
  "idle": """
    begin                       | starting [- -]: keep; start 1 from beginning
    begin with 50 staged        | starting [50 -]: keep; start 1 from staged 50
    its resume point is damaged | idle [- -] durable 40
    stop                        | done [- -] stops: 'stopping in 25s'; graceEnd +25s; -timers; keep; leave stopped
    checkpoint                  | idle [- -]: 'checkpointUnavailable'
    notice                      | idle [- -] goes: 'noticed cloud in 120s'; preemption +95s
    notice, another, of no time | idle [- -] goes: 'noticed cloud in 5s'; preemption +0s
    warning                     | idle [- -]: 'warned cloud'
    policy                      | idle [- -]
    """,
  "starting": """
    started                            | running [- -]
    startFailed notFound               | done [- -]: 'startFailed notFound'; -timers; keep; leave commandNotFound
    startFailed notExecutable          | done [- -]: 'startFailed notExecutable'; -timers; keep; leave commandNotExecutable
    startFailed noRoom                 | done [- -]: 'startFailed noRoom'; -timers; keep; leave cannotStart
    startFailed EMFILE                 | starting [- -] stalls 1: 'startFailed other(errno: 24)'; keep; start 2 from beginning
    attached                           | starting [- -]: offer 0
    stepped to 61                      | starting [- -] at 61
    heartbeat                          | starting [- -]
    finished 61 in the offered slot    | starting [- -] finished 61: -stage -hang
    finished 61 in no slot             | starting [- -] finished 61: -stage -hang
    finished 61 in a slot that is none | starting [- -] finished 61: -stage -hang
    its resume point is damaged        | starting [- -] durable 40
    it took a damaged resume point     | starting [- -]
    staged before its first step       | starting [0 -]
    that failed                        | starting [- -] failing: 'stageFailed(errno: 28)'
    stop                               | starting [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                         | starting [- -]: 'checkpointUnavailable'
    notice                             | starting [- -] publishNext goes: 'noticed cloud in 120s'; preemption +95s
    notice, another, of no time        | starting [- -] publishNext goes: 'noticed cloud in 5s'; preemption +0s
    warning                            | starting [- -] publishNext: 'warned cloud'
    policy                             | starting [- -]
    """,
  "starting, asked to stop": """
    started                            | terminating [- -] stops: -saveDeadline; terminate; kill +22s
    startFailed notFound               | done [- -] stops: 'startFailed notFound'; -timers; keep; leave stopped
    startFailed notExecutable          | done [- -] stops: 'startFailed notExecutable'; -timers; keep; leave stopped
    startFailed noRoom                 | done [- -] stops: 'startFailed noRoom'; -timers; keep; leave stopped
    startFailed EMFILE                 | done [- -] stops: 'startFailed other(errno: 24)'; -timers; keep; leave stopped
    attached                           | starting [- -] stops: offer 0
    stepped to 61                      | starting [- -] at 61 stops
    heartbeat                          | starting [- -] stops
    finished 61 in the offered slot    | starting [- -] finished 61 stops: -stage -hang
    finished 61 in no slot             | starting [- -] finished 61 stops: -stage -hang
    finished 61 in a slot that is none | starting [- -] finished 61 stops: -stage -hang
    its resume point is damaged        | starting [- -] durable 40 stops
    it took a damaged resume point     | starting [- -] stops
    staged before its first step       | starting [0 -] stops
    that failed                        | starting [- -] stops failing: 'stageFailed(errno: 28)'
    graceEnd                           | done [- -] stops: kill; keep; leave stopped
    stop                               | starting [- -] stops
    checkpoint                         | starting [- -] stops: 'checkpointUnavailable'
    notice                             | starting [- -] stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | starting [- -] stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | starting [- -] stops: 'warned cloud'
    policy                             | starting [- -] stops
    """,
  "starting again, 50 staged": """
    started                            | running [50 -]
    startFailed notFound               | starting [50 -] stalls 1: 'startFailed notFound'; keep; start 3 from staged 50
    startFailed notExecutable          | starting [50 -] stalls 1: 'startFailed notExecutable'; keep; start 3 from staged 50
    startFailed noRoom                 | starting [50 -] stalls 1: 'startFailed noRoom'; keep; start 3 from staged 50
    startFailed EMFILE                 | starting [50 -] stalls 1: 'startFailed other(errno: 24)'; keep; start 3 from staged 50
    attached                           | starting [50 -]: offer 1
    stepped to 61                      | starting [50 -] at 61
    heartbeat                          | starting [50 -]
    finished 61 in the offered slot    | starting [50 -] finished 61: -stage -hang
    finished 61 in no slot             | starting [50 -] finished 61: -stage -hang
    finished 61 in a slot that is none | starting [50 -] finished 61: -stage -hang
    its resume point is damaged        | starting [- -] durable 40
    it took a damaged resume point     | starting [50 -]
    stop                               | starting [50 -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                         | starting [50 -]: 'checkpointUnavailable'
    notice                             | starting [50 -] publishNext goes: 'noticed cloud in 120s'; preemption +95s
    notice, another, of no time        | starting [50 -] publishNext goes: 'noticed cloud in 5s'; preemption +0s
    warning                            | starting [50 -] publishNext: 'warned cloud'
    policy                             | starting [50 -]
    """,
  "idle, the machine goes": """
    begin                       | starting [- -] goes: keep; start 1 from beginning
    begin with 50 staged        | starting [50 -] goes: keep; start 1 from staged 50
    its resume point is damaged | idle [- -] durable 40 goes
    stop                        | done [- -] stops goes: 'stopping in 25s'; graceEnd +25s; -timers; keep; 'survived with 0, 118s spare'; leave stopped
    checkpoint                  | idle [- -] goes: 'checkpointUnavailable'
    notice                      | idle [- -] goes: preemption +93s
    notice, another, of no time | idle [- -] goes: 'noticed cloud in 5s'; preemption +0s
    warning                     | idle [- -] goes: 'warned cloud'
    notice taken back           | idle [- -]: -preemption; 'cancelled cloud'
    policy                      | idle [- -] goes
    """,
  "starting, the machine goes": """
    started                            | running [- -] publishNext goes: preemption +93s
    startFailed notFound               | done [- -] publishNext goes: 'startFailed notFound'; -timers; keep; leave commandNotFound
    startFailed notExecutable          | done [- -] publishNext goes: 'startFailed notExecutable'; -timers; keep; leave commandNotExecutable
    startFailed noRoom                 | done [- -] publishNext goes: 'startFailed noRoom'; -timers; keep; leave cannotStart
    startFailed EMFILE                 | starting [- -] publishNext goes stalls 1: 'startFailed other(errno: 24)'; keep; start 2 from beginning
    attached                           | starting [- -] publishNext goes: offer 0
    stepped to 61                      | starting [- -] at 61 publishNext goes
    heartbeat                          | starting [- -] publishNext goes
    finished 61 in the offered slot    | starting [- -] finished 61 publishNext goes: -stage -hang
    finished 61 in no slot             | starting [- -] finished 61 publishNext goes: -stage -hang
    finished 61 in a slot that is none | starting [- -] finished 61 publishNext goes: -stage -hang
    its resume point is damaged        | starting [- -] durable 40 publishNext goes
    it took a damaged resume point     | starting [- -] publishNext goes
    staged before its first step       | starting [0 -] publishNext goes
    that failed                        | starting [- -] publishNext goes failing: 'stageFailed(errno: 28)'
    preemption                         | starting [- -] publishNext goes: preemption +93s
    stop                               | starting [- -] publishNext stops goes: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                         | starting [- -] publishNext goes: 'checkpointUnavailable'
    notice                             | starting [- -] publishNext goes: preemption +93s
    notice, another, of no time        | starting [- -] publishNext goes: 'noticed cloud in 5s'; preemption +0s
    warning                            | starting [- -] publishNext goes: 'warned cloud'
    notice taken back                  | starting [- -] publishNext: -preemption; 'cancelled cloud'
    policy                             | starting [- -] publishNext goes
    """,
]
