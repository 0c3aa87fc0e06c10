// A cell is one line, however long.
// swift-format-ignore-file

/// When it has gone.
let cellsWhenEnding: [String: String] = [
  "clearing, killed": """
    attached                        | clearing [50 -] at 60
    stepped to 61                   | clearing [50 -] at 61
    heartbeat                       | clearing [50 -] at 60
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | clearing [50 -] at 60
    adopted                         | clearing [50 -] durable 3 at 60: keep
    cleared, nothing left           | starting [- -] stalls 1: 'ended signaled(9) killed without progress'; keep; start 2 from beginning
    cleared, 50 staged              | starting [50 -] publishes 50 of 0: 'ended signaled(9) killed'; publish 50 of 0 for failure; keep; start 2 from staged 50
    cleared, 60 staged              | starting [60 -] publishes 60 of 0: 'ended signaled(9) killed'; publish 60 of 0 for failure; keep; start 2 from staged 60
    stop                            | clearing [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [50 -] at 60: 'checkpointUnavailable'
    notice                          | clearing [50 -] at 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | clearing [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | clearing [50 -] at 60: 'warned cloud'
    policy                          | clearing [50 -] at 60
    """,
  "clearing, finished": """
    attached                        | clearing [50 60] at 60 finished 60: offer 0
    stepped to 61                   | clearing [50 60] at 61
    heartbeat                       | clearing [50 60] at 60 finished 60
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | clearing [50 60] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [50 60] at 60 finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60 finished 60: offer 0
    loaded a damaged resume point   | clearing [50 60] at 60 finished 60
    adopted                         | clearing [50 60] durable 3 at 60 finished 60: keep
    cleared, nothing left           | done [- -]: 'ended exited(0) finished without progress'; 'finalStateLost(step: 60)'; -timers; keep; leave finalStateNotDurable
    cleared, 50 staged              | settling [50 -] publishes 50 of 0: 'ended exited(0) finished'; 'finalStateLost(step: 60)'; -timers; publish 50 of 0 for failure
    cleared, 60 staged              | settling [60 -] publishes 60 of 0: 'ended exited(0) finished'; -timers; publish 60 of 0 for finish
    stop                            | clearing [50 60] at 60 finished 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [50 60] at 60 finished 60: 'checkpointUnavailable'
    notice                          | clearing [50 60] at 60 finished 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | clearing [50 60] at 60 finished 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | clearing [50 60] at 60 finished 60: 'warned cloud'
    policy                          | clearing [50 60] at 60 finished 60
    """,
  "clearing, exit 0 of a program that did not attach": """
    attached                        | clearing [- -]: offer 0
    stepped to 61                   | clearing [- -] at 61
    heartbeat                       | clearing [- -]
    finished 61 in the offered slot | clearing [- -] finished 61: -stage -hang
    finished 61 in no slot          | clearing [- -] finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [- -] finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40
    loaded a damaged resume point   | clearing [- -]
    staged before the first step    | clearing [0 -]
    initial staging failed          | clearing [- -] failing: 'stageFailed(errno: 28)'
    adopted                         | clearing [- -] durable 3: keep
    cleared, nothing left           | done [- -]: 'ended exited(0) finished without progress'; -timers; keep; leave finished
    cleared, 50 staged              | settling [50 -] publishes 50 of 0: 'ended exited(0) finished'; -timers; publish 50 of 0 for finish
    cleared, 60 staged              | settling [60 -] publishes 60 of 0: 'ended exited(0) finished'; -timers; publish 60 of 0 for finish
    stop                            | clearing [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [- -]: 'checkpointUnavailable'
    notice                          | clearing [- -] preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left     | clearing [- -] preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | clearing [- -]: 'warned cloud'
    policy                          | clearing [- -]
    """,
  "clearing, interrupted": """
    attached                        | clearing [50 -] at 60
    stepped to 61                   | clearing [50 -] at 61
    heartbeat                       | clearing [50 -] at 60
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | clearing [50 -] at 60
    adopted                         | clearing [50 -] durable 3 at 60: keep
    cleared, nothing left           | done [- -]: 'ended signaled(2) keyboard_interrupt without progress'; -timers; keep; leave stopped
    cleared, 50 staged              | settling [50 -] publishes 50 of 0: 'ended signaled(2) keyboard_interrupt'; -timers; publish 50 of 0 for stop
    cleared, 60 staged              | settling [60 -] publishes 60 of 0: 'ended signaled(2) keyboard_interrupt'; -timers; publish 60 of 0 for stop
    stop                            | clearing [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [50 -] at 60: 'checkpointUnavailable'
    notice                          | clearing [50 -] at 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | clearing [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | clearing [50 -] at 60: 'warned cloud'
    policy                          | clearing [50 -] at 60
    """,
  "clearing, interrupted and stop requested": """
    attached                        | clearing [50 -] at 60 stops
    stepped to 61                   | clearing [50 -] at 61 stops
    heartbeat                       | clearing [50 -] at 60 stops
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61 stops: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60 stops: offer 0
    loaded a damaged resume point   | clearing [50 -] at 60 stops
    adopted                         | clearing [50 -] durable 3 at 60 stops: keep
    cleared, nothing left           | done [- -] stops: 'ended signaled(2) stopped without progress'; -timers; keep; leave stopped
    cleared, 50 staged              | settling [50 -] publishes 50 of 0 stops: 'ended signaled(2) stopped'; -timers; publish 50 of 0 for stop
    cleared, 60 staged              | settling [60 -] publishes 60 of 0 stops: 'ended signaled(2) stopped'; -timers; publish 60 of 0 for stop
    graceEnd                        | done [50 -] stops: kill; keep; leave stopped
    stop                            | clearing [50 -] at 60 stops
    checkpoint                      | clearing [50 -] at 60 stops: 'checkpointUnavailable'
    notice                          | clearing [50 -] at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | clearing [50 -] at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | clearing [50 -] at 60 stops: 'warned cloud'
    policy                          | clearing [50 -] at 60 stops
    """,
  "clearing, interrupt reported by a shell": """
    attached                        | clearing [- -]: offer 0
    stepped to 61                   | clearing [- -] at 61
    heartbeat                       | clearing [- -]
    finished 61 in the offered slot | clearing [- -] finished 61: -stage -hang
    finished 61 in no slot          | clearing [- -] finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [- -] finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40
    loaded a damaged resume point   | clearing [- -]
    staged before the first step    | clearing [0 -]
    initial staging failed          | clearing [- -] failing: 'stageFailed(errno: 28)'
    adopted                         | clearing [- -] durable 3: keep
    cleared, nothing left           | done [- -]: 'ended exited(130) keyboard_interrupt without progress'; -timers; keep; leave stopped
    cleared, 50 staged              | settling [50 -] publishes 50 of 0: 'ended exited(130) keyboard_interrupt'; -timers; publish 50 of 0 for stop
    cleared, 60 staged              | settling [60 -] publishes 60 of 0: 'ended exited(130) keyboard_interrupt'; -timers; publish 60 of 0 for stop
    stop                            | clearing [- -] stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [- -]: 'checkpointUnavailable'
    notice                          | clearing [- -] preempting: 'noticed cloud in 120s'; preemption +95s
    second notice, no time left     | clearing [- -] preempting: 'noticed cloud in 5s'; preemption +0s
    warning                         | clearing [- -]: 'warned cloud'
    policy                          | clearing [- -]
    """,
  "clearing, interrupted, preemption cancelled": """
    attached                        | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice
    stepped to 61                   | clearing [50 -] saveAndLeave 3 in 1 at 61 publishNext for preemption stopsByNotice
    heartbeat                       | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice
    staged 61                       | clearing [50 61] at 60 publishNext for preemption stopsByNotice: offer 0
    missed                          | clearing [50 -] at 60 publishNext for preemption stopsByNotice: offer 1
    staging failed                  | clearing [50 -] at 60 publishNext for preemption stopsByNotice failing: 'stageFailed(errno: 28)'; offer 1
    finished 61 in the offered slot | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice: -stage -hang
    resume point damaged            | clearing [- -] durable 40 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice
    loaded a damaged resume point   | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice
    adopted                         | clearing [50 -] durable 3 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice: keep
    cleared, nothing left           | done [- -] publishNext for preemption stops: 'ended signaled(2) stopped without progress'; -timers; keep; leave stopped
    cleared, 50 staged              | settling [50 -] publishes 50 of 0 stops: 'ended signaled(2) stopped'; -timers; publish 50 of 0 for preemption+stop
    cleared, 60 staged              | settling [60 -] publishes 60 of 0 stops: 'ended signaled(2) stopped'; -timers; publish 60 of 0 for preemption+stop
    graceEnd                        | done [50 -] saveAndLeave 3 in 1 publishNext for preemption stopsByNotice: kill; keep; leave stopped
    stop                            | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stops: 'stopping in 8s'
    checkpoint                      | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice: 'checkpointUnavailable'
    notice                          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'noticed cloud in 120s'
    second notice, no time left     | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice: 'warned cloud'
    policy                          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice
    """,
  "clearing, hung": """
    attached                        | clearing [50 -] at 60
    stepped to 61                   | clearing [50 -] at 61
    heartbeat                       | clearing [50 -] at 60
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | clearing [50 -] at 60
    adopted                         | clearing [50 -] durable 3 at 60: keep
    cleared, nothing left           | starting [- -] stalls 1: 'ended signaled(9) hang without progress'; keep; start 2 from beginning
    cleared, 50 staged              | starting [50 -] publishes 50 of 0: 'ended signaled(9) hang'; publish 50 of 0 for failure; keep; start 2 from staged 50
    cleared, 60 staged              | starting [60 -] publishes 60 of 0: 'ended signaled(9) hang'; publish 60 of 0 for failure; keep; start 2 from staged 60
    stop                            | clearing [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [50 -] at 60: 'checkpointUnavailable'
    notice                          | clearing [50 -] at 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | clearing [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | clearing [50 -] at 60: 'warned cloud'
    policy                          | clearing [50 -] at 60
    """,
  "clearing, saved and left": """
    attached                         | clearing [50 60] publishes 60 of 1 at 60 stops
    stepped to 61                    | clearing [50 60] publishes 60 of 1 at 61 stops
    heartbeat                        | clearing [50 60] publishes 60 of 1 at 60 stops
    finished 61 in the offered slot  | clearing [61 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot           | clearing [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot   | clearing [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    published                        | clearing [50 60] durable 60 at 60 stops: keep
    publishing failed                | clearing [50 60] at 60 stops
    resume point damaged             | clearing [- -] durable 40 publishes 60 of 1 at 60 stops
    loaded a damaged resume point    | clearing [50 60] publishes 60 of 1 at 60 stops
    publishing failed, image damaged | clearing [50 -] at 60 stops: offer 1
    adopted                         | clearing [50 60] durable 3 publishes 60 of 1 at 60 stops: keep
    cleared, nothing left            | settling [- -] publishes 60 of 1 stops: 'ended exited(75) stopped without progress'; -timers
    cleared, 50 staged               | settling [50 -] publishes 60 of 1 stops: 'ended exited(75) stopped'; -timers
    cleared, 60 staged               | settling [60 -] publishes 60 of 1 stops: 'ended exited(75) stopped'; -timers
    graceEnd                         | done [50 60] publishes 60 of 1 stops: cancelPublishing; kill; keep; leave stopped
    stop                             | clearing [50 60] publishes 60 of 1 at 60 stops
    checkpoint                       | clearing [50 60] publishes 60 of 1 at 60 stops: 'checkpointUnavailable'
    notice                           | clearing [50 60] publishes 60 of 1 at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | clearing [50 60] publishes 60 of 1 at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | clearing [50 60] publishes 60 of 1 at 60 stops: 'warned cloud'
    policy                           | clearing [50 60] publishes 60 of 1 at 60 stops
    """,
  "clearing, preemption ahead": """
    attached                        | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    stepped to 61                   | clearing [50 -] saveAndLeave 3 in 1 at 61 publishNext for preemption stopsByNotice preempting
    heartbeat                       | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    staged 61                       | clearing [50 61] at 60 publishNext for preemption stopsByNotice preempting: offer 0
    missed                          | clearing [50 -] at 60 publishNext for preemption stopsByNotice preempting: offer 1
    staging failed                  | clearing [50 -] at 60 publishNext for preemption stopsByNotice preempting failing: 'stageFailed(errno: 28)'; offer 1
    finished 61 in the offered slot | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang
    resume point damaged            | clearing [- -] durable 40 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    loaded a damaged resume point   | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    adopted                         | clearing [50 -] durable 3 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: keep
    cleared, nothing left           | done [- -] publishNext for preemption stopsByNotice preempting: 'ended exited(75) preempted without progress'; -timers; keep; 'survived with 0, 8s spare'; acknowledge cloud; leave stopped
    cleared, 50 staged              | settling [50 -] publishes 50 of 0 stopsByNotice preempting: 'ended exited(75) preempted'; -timers; publish 50 of 0 for preemption+stop
    cleared, 60 staged              | settling [60 -] publishes 60 of 0 stopsByNotice preempting: 'ended exited(75) preempted'; -timers; publish 60 of 0 for preemption+stop
    graceEnd                        | done [50 -] saveAndLeave 3 in 1 publishNext for preemption stopsByNotice preempting: kill; keep; 'survived with 0, 8s spare'; leave stopped
    stop                            | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stops preempting: 'stopping in 8s'
    checkpoint                      | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'checkpointUnavailable'
    notice                          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    second notice, no time left     | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'warned cloud'
    notice cancelled                | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice: -preemption; 'cancelled cloud'
    policy                          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    """,
  "backing off, 50 staged": """
    resume point damaged        | backingOff [- -] durable 40 stalls 2
    adopted                         | backingOff [50 -] durable 3 stalls 2: keep
    durable                     | backingOff [50 -] publishes 50 of 0 stalls 2: publish 50 of 0 for interval=600s
    backoff                     | starting [50 -] stalls 2: keep; start 4 from staged 50
    stop                        | settling [50 -] publishes 50 of 0 stops stalls 2: 'stopping in 25s'; graceEnd +25s; -timers; publish 50 of 0 for stop
    checkpoint                  | backingOff [50 -] publishes 50 of 0 stalls 2: publish 50 of 0 for request
    notice                      | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'noticed cloud in 120s'; publish 50 of 0 for preemption; preemption +95s
    second notice, no time left | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'noticed cloud in 5s'; publish 50 of 0 for preemption; preemption +0s
    warning                     | backingOff [50 -] publishes 50 of 0 stalls 2: 'warned cloud'; publish 50 of 0 for preemption
    policy                      | backingOff [50 -] stalls 2: durable +58s
    resume point chosen         | backingOff [50 -] stalls 2
    """,
  "backing off, 50 is published": """
    published                        | backingOff [50 -] durable 50 stalls 2: keep; durable +600s
    publishing failed                | backingOff [50 -] stalls 2: durable +30s
    resume point damaged             | backingOff [- -] durable 40 publishes 50 of 0 stalls 2
    publishing failed, image damaged | backingOff [- -] stalls 2: durable +30s
    adopted                         | backingOff [50 -] durable 3 publishes 50 of 0 stalls 2: keep
    backoff                          | starting [50 -] publishes 50 of 0 stalls 2: keep; start 4 from staged 50
    stop                             | settling [50 -] publishes 50 of 0 stops stalls 2: 'stopping in 25s'; graceEnd +25s; -timers
    notice                           | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'noticed cloud in 120s'; mark 50 for preemption; preemption +95s
    second notice, no time left      | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'noticed cloud in 5s'; mark 50 for preemption; preemption +0s
    warning                          | backingOff [50 -] publishes 50 of 0 stalls 2: 'warned cloud'; mark 50 for preemption
    policy                           | backingOff [50 -] publishes 50 of 0 stalls 2
    checkpoint                      | backingOff [50 -] publishes 50 of 0 stalls 2: mark 50 for request
    resume point chosen             | backingOff [50 -] publishes 50 of 0 stalls 2
    """,
  "settling, preemption ahead": """
    published                        | done [50 -] durable 50 stopsByNotice preempting: keep; keep; 'survived with 50, 8s spare'; acknowledge cloud; leave stopped
    publishing failed                | done [50 -] stopsByNotice preempting: keep; 'survived with 0, 8s spare'; leave stopped
    publishing failed, image damaged | done [- -] stopsByNotice preempting: keep; 'survived with 0, 8s spare'; acknowledge cloud; leave stopped
    adopted                         | settling [50 -] durable 3 publishes 50 of 0 stopsByNotice preempting: keep
    graceEnd                         | done [50 -] publishes 50 of 0 stopsByNotice preempting: cancelPublishing; keep; 'survived with 0, 8s spare'; leave stopped
    stop                             | settling [50 -] publishes 50 of 0 stops preempting: 'stopping in 8s'
    checkpoint                       | settling [50 -] publishes 50 of 0 stopsByNotice preempting: 'checkpointUnavailable'
    notice                           | settling [50 -] publishes 50 of 0 stopsByNotice preempting
    second notice, no time left      | settling [50 -] publishes 50 of 0 stopsByNotice preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | settling [50 -] publishes 50 of 0 stopsByNotice preempting: 'warned cloud'
    notice cancelled                 | starting [50 -] publishes 50 of 0: -preemption; 'cancelled cloud'; -graceEnd; keep; start 2 from staged 60
    policy                           | settling [50 -] publishes 50 of 0 stopsByNotice preempting
    """,
  "settling, stopped": """
    published                        | done [50 -] durable 50 stops: keep; keep; leave stopped
    publishing failed                | done [50 -] stops: keep; leave stopped
    publishing failed, image damaged | done [- -] stops: keep; leave stopped
    adopted                         | settling [50 -] durable 3 publishes 50 of 0 stops: keep
    graceEnd                         | done [50 -] publishes 50 of 0 stops: cancelPublishing; keep; leave stopped
    stop                             | done [50 -] publishes 50 of 0 stops: cancelPublishing; keep; leave stopped
    checkpoint                       | settling [50 -] publishes 50 of 0 stops: 'checkpointUnavailable'
    notice                           | settling [50 -] publishes 50 of 0 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 -] publishes 50 of 0 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | settling [50 -] publishes 50 of 0 stops: 'warned cloud'
    policy                           | settling [50 -] publishes 50 of 0 stops
    """,
  "settling, interrupted": """
    published                        | done [50 -] durable 50: keep; keep; leave stopped
    publishing failed                | done [50 -]: keep; leave stopped
    publishing failed, image damaged | done [- -]: keep; leave stopped
    adopted                         | settling [50 -] durable 3 publishes 50 of 0: keep
    stop                             | settling [50 -] publishes 50 of 0 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                       | settling [50 -] publishes 50 of 0: 'checkpointUnavailable'
    notice                           | settling [50 -] publishes 50 of 0 preempting: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 -] publishes 50 of 0 preempting: 'noticed cloud in 5s'
    warning                          | settling [50 -] publishes 50 of 0: 'warned cloud'
    policy                           | settling [50 -] publishes 50 of 0
    """,
  "settling, interrupted, stop requested": """
    published                        | done [50 -] durable 50 stops: keep; keep; leave stopped
    publishing failed                | done [50 -] stops: keep; leave stopped
    publishing failed, image damaged | done [- -] stops: keep; leave stopped
    adopted                         | settling [50 -] durable 3 publishes 50 of 0 stops: keep
    graceEnd                         | done [50 -] publishes 50 of 0 stops: cancelPublishing; keep; leave stopped
    stop                             | done [50 -] publishes 50 of 0 stops: cancelPublishing; keep; leave stopped
    checkpoint                       | settling [50 -] publishes 50 of 0 stops: 'checkpointUnavailable'
    notice                           | settling [50 -] publishes 50 of 0 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 -] publishes 50 of 0 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | settling [50 -] publishes 50 of 0 stops: 'warned cloud'
    policy                           | settling [50 -] publishes 50 of 0 stops
    """,
  "settling, finished": """
    published                        | done [50 60] durable 60: keep; keep; leave finished
    publishing failed                | done [50 60]: keep; leave finalStateNotDurable
    publishing failed, image damaged | done [50 -]: keep; leave finalStateNotDurable
    adopted                         | settling [50 60] durable 3 publishes 60 of 1: keep
    stop                             | settling [50 60] publishes 60 of 1 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                       | settling [50 60] publishes 60 of 1: 'checkpointUnavailable'
    notice                           | settling [50 60] publishes 60 of 1 preempting: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 60] publishes 60 of 1 preempting: 'noticed cloud in 5s'
    warning                          | settling [50 60] publishes 60 of 1: 'warned cloud'
    policy                           | settling [50 60] publishes 60 of 1
    """,
  "settling, finished, stop requested": """
    published                        | done [50 60] durable 60 stops: keep; keep; leave finished
    publishing failed                | done [50 60] stops: keep; leave finalStateNotDurable
    publishing failed, image damaged | done [50 -] stops: keep; leave finalStateNotDurable
    adopted                         | settling [50 60] durable 3 publishes 60 of 1 stops: keep
    graceEnd                         | done [50 60] publishes 60 of 1 stops: cancelPublishing; keep; leave stopped
    stop                             | done [50 60] publishes 60 of 1 stops: cancelPublishing; keep; leave stopped
    checkpoint                       | settling [50 60] publishes 60 of 1 stops: 'checkpointUnavailable'
    notice                           | settling [50 60] publishes 60 of 1 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 60] publishes 60 of 1 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | settling [50 60] publishes 60 of 1 stops: 'warned cloud'
    policy                           | settling [50 60] publishes 60 of 1 stops
    """,
  "settling, gave up": """
    published                        | done [50 -] durable 50 stalls 5: keep; keep; leave gaveUp
    publishing failed                | done [50 -] stalls 5: keep; leave gaveUp
    publishing failed, image damaged | done [- -] stalls 5: keep; leave gaveUp
    adopted                         | settling [50 -] durable 3 publishes 50 of 0 stalls 5: keep
    stop                             | settling [50 -] publishes 50 of 0 stops stalls 5: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                       | settling [50 -] publishes 50 of 0 stalls 5: 'checkpointUnavailable'
    notice                           | settling [50 -] publishes 50 of 0 preempting stalls 5: 'noticed cloud in 120s'
    second notice, no time left      | settling [50 -] publishes 50 of 0 preempting stalls 5: 'noticed cloud in 5s'
    warning                          | settling [50 -] publishes 50 of 0 stalls 5: 'warned cloud'
    policy                           | settling [50 -] publishes 50 of 0 stalls 5
    """,
  "done": """
    stop       | done [- -] stops
    checkpoint | done [- -] stops: 'checkpointUnavailable'
    policy     | done [- -] stops
    """,
  "clearing, killed, preemption ahead": """
    attached                        | clearing [50 -] at 60 preempting
    stepped to 61                   | clearing [50 -] at 61 preempting
    heartbeat                       | clearing [50 -] at 60 preempting
    finished 61 in the offered slot | clearing [50 61] at 60 finished 61 preempting: -stage -hang
    finished 61 in no slot          | clearing [50 -] at 60 finished 61 preempting: -stage -hang
    finished 61 in an invalid slot  | clearing [50 -] at 60 finished 61 preempting: -stage -hang
    resume point damaged            | clearing [- -] durable 40 at 60 preempting: offer 0
    loaded a damaged resume point   | clearing [50 -] at 60 preempting
    adopted                         | clearing [50 -] durable 3 at 60 preempting: keep
    cleared, nothing left           | starting [- -] preempting stalls 1: 'ended signaled(9) killed without progress'; keep; start 2 from beginning
    cleared, 50 staged              | starting [50 -] publishes 50 of 0 preempting: 'ended signaled(9) killed'; publish 50 of 0 for failure; keep; start 2 from staged 50
    cleared, 60 staged              | starting [60 -] publishes 60 of 0 preempting: 'ended signaled(9) killed'; publish 60 of 0 for failure; keep; start 2 from staged 60
    preemption                      | clearing [50 -] at 60 preempting: preemption +104999ms
    stop                            | clearing [50 -] at 60 stops preempting: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | clearing [50 -] at 60 preempting: 'checkpointUnavailable'
    notice                          | clearing [50 -] at 60 preempting: preemption +104999ms
    second notice, no time left     | clearing [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | clearing [50 -] at 60 preempting: 'warned cloud'
    notice cancelled                | clearing [50 -] at 60: -preemption; 'cancelled cloud'
    policy                          | clearing [50 -] at 60 preempting
    """,
  "backing off, preemption ahead": """
    published                        | backingOff [50 -] durable 50 preempting stalls 2: keep; durable +600s; preemption +93s
    publishing failed                | backingOff [50 -] preempting stalls 2: durable +30s
    resume point damaged             | backingOff [- -] durable 40 publishes 50 of 0 preempting stalls 2
    publishing failed, image damaged | backingOff [- -] preempting stalls 2: durable +30s
    adopted                         | backingOff [50 -] durable 3 publishes 50 of 0 preempting stalls 2: keep
    backoff                          | starting [50 -] publishes 50 of 0 preempting stalls 2: keep; start 4 from staged 50
    preemption                       | backingOff [50 -] publishes 50 of 0 preempting stalls 2: preemption +93s
    stop                             | settling [50 -] publishes 50 of 0 stops preempting stalls 2: 'stopping in 25s'; graceEnd +25s; -timers
    notice                           | backingOff [50 -] publishes 50 of 0 preempting stalls 2: preemption +93s
    second notice, no time left      | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'noticed cloud in 5s'; mark 50 for preemption; preemption +0s
    warning                          | backingOff [50 -] publishes 50 of 0 preempting stalls 2: 'warned cloud'; mark 50 for preemption
    notice cancelled                 | backingOff [50 -] publishes 50 of 0 stalls 2: -preemption; 'cancelled cloud'
    policy                           | backingOff [50 -] publishes 50 of 0 preempting stalls 2
    checkpoint                      | backingOff [50 -] publishes 50 of 0 preempting stalls 2: mark 50 for request
    resume point chosen             | backingOff [50 -] publishes 50 of 0 preempting stalls 2
    """,
]
