// A cell is one line, however long.
// swift-format-ignore-file

/// While it is to leave.
let cellsWhenStopping: [String: String] = [
  "saving, the machine goes": """
    attached                           | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes
    stepped to 61                      | saving [50 -] saveAndLeave 3 in 1 at 61 publishNext stopsByNotice goes
    heartbeat                          | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes
    staged 61                          | terminating [50 61] publishes 61 of 1 at 60 stopsByNotice goes: 'saveAnswered(step: 61)'; offer 0; publish 61 of 1; -saveDeadline; kill +2s
    missed                             | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice goes: offer 1; publish 50 of 0; -saveDeadline; terminate; kill +2s
    staging failed                     | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice goes failing: 'stageFailed(errno: 28)'; offer 1; publish 50 of 0; -saveDeadline; terminate; kill +2s
    finished 61 in the offered slot    | terminating [50 -] at 60 finished 61 publishNext stopsByNotice goes: -stage -hang -saveDeadline; kill +2s
    finished 61 in no slot             | terminating [50 -] at 60 finished 61 publishNext stopsByNotice goes: -stage -hang -saveDeadline; kill +2s
    finished 61 in a slot that is none | terminating [50 -] at 60 finished 61 publishNext stopsByNotice goes: -stage -hang -saveDeadline; kill +2s
    exit 0                             | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | saving [- -] durable 40 saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes
    it took a damaged resume point     | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: kill
    saveDeadline                       | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice goes: 'saveTimedOut'; request cancel 4 in 1; -saveDeadline; terminate; kill +2s; offer 1; publish 50 of 0
    graceEnd                           | done [50 -] saveAndLeave 3 in 1 publishNext stopsByNotice goes: kill; keep; 'survived with 0, 8s spare'; leave stopped
    stop                               | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stops goes: 'stopping in 8s'
    checkpoint                         | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: 'checkpointUnavailable'
    notice                             | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes
    notice, another, of no time        | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                            | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes: 'warned cloud'
    notice taken back                  | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice: -preemption; 'cancelled cloud'
    policy                             | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext stopsByNotice goes
    """,
  "saving": """
    attached                           | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    stepped to 61                      | saving [50 -] saveAndLeave 2 in 1 at 61 stops
    heartbeat                          | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    staged 61                          | terminating [50 61] publishes 61 of 1 at 60 stops: 'saveAnswered(step: 61)'; offer 0; publish 61 of 1; -saveDeadline; kill +5s
    missed                             | terminating [50 -] publishes 50 of 0 at 60 stops: offer 1; publish 50 of 0; -saveDeadline; terminate; kill +5s
    staging failed                     | terminating [50 -] publishes 50 of 0 at 60 stops failing: 'stageFailed(errno: 28)'; offer 1; publish 50 of 0; -saveDeadline; terminate; kill +5s
    finished 61 in the offered slot    | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in no slot             | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in a slot that is none | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    exit 0                             | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | saving [- -] durable 40 saveAndLeave 2 in 1 at 60 stops
    it took a damaged resume point     | saving [50 -] saveAndLeave 2 in 1 at 60 stops: kill
    saveDeadline                       | terminating [50 -] publishes 50 of 0 at 60 stops: 'saveTimedOut'; request cancel 3 in 1; -saveDeadline; terminate; kill +5s; offer 1; publish 50 of 0
    graceEnd                           | done [50 -] saveAndLeave 2 in 1 stops: kill; keep; leave stopped
    stop                               | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; request cancel 3 in 1; -saveDeadline -kill; kill; offer 1; publish 50 of 0
    checkpoint                         | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'checkpointUnavailable'
    notice                             | saving [50 -] saveAndLeave 2 in 1 at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | saving [50 -] saveAndLeave 2 in 1 at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                            | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'warned cloud'
    policy                             | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    """,
  "saving, no slot is free": """
    attached                           | saving [50 60] publishes 50 of 0 at 61 waiting stops
    stepped to 61                      | saving [50 60] publishes 50 of 0 at 61 waiting stops
    heartbeat                          | saving [50 60] publishes 50 of 0 at 61 waiting stops
    finished 61 in the offered slot    | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in no slot             | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in a slot that is none | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    published                          | saving [- 60] durable 50 saveAndLeave 3 in 0 at 61 stops: keep; offer 0; withdraw; request saveAndLeave 3 in 0 by +16s
    publishing failed                  | saving [- 60] saveAndLeave 3 in 0 at 61 stops: offer 0; withdraw; request saveAndLeave 3 in 0 by +9500ms
    exit 0                             | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | saving [- -] durable 40 publishes 50 of 0 at 61 waiting stops: offer 1
    it took a damaged resume point     | saving [50 60] publishes 50 of 0 at 61 waiting stops: kill
    publishing failed, it is damaged   | saving [- 60] saveAndLeave 3 in 0 at 61 stops: offer 0; withdraw; request saveAndLeave 3 in 0 by +9500ms
    saveDeadline                       | terminating [50 60] publishes 50 of 0 at 61 waiting stops: 'saveTimedOut'; -saveDeadline; terminate; kill +5s
    graceEnd                           | done [50 60] publishes 50 of 0 waiting stops: cancelPublishing; kill; keep; leave stopped
    stop                               | terminating [50 60] publishes 50 of 0 at 61 waiting stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | saving [50 60] publishes 50 of 0 at 61 waiting stops: 'checkpointUnavailable'
    notice                             | saving [50 60] publishes 50 of 0 at 61 waiting stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | saving [50 60] publishes 50 of 0 at 61 waiting stops goes: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                            | saving [50 60] publishes 50 of 0 at 61 waiting stops: 'warned cloud'
    policy                             | saving [50 60] publishes 50 of 0 at 61 waiting stops
    """,
  "terminating, saved, is published": """
    attached                           | terminating [50 60] publishes 60 of 1 at 60 stops
    stepped to 61                      | terminating [50 60] publishes 60 of 1 at 61 stops
    heartbeat                          | terminating [50 60] publishes 60 of 1 at 60 stops
    finished 61 in the offered slot    | terminating [61 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    published                          | terminating [50 60] durable 60 at 60 stops: keep
    publishing failed                  | terminating [50 60] at 60 stops
    exit 0                             | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 publishes 60 of 1 at 60 stops
    it took a damaged resume point     | terminating [50 60] publishes 60 of 1 at 60 stops: kill
    publishing failed, it is damaged   | terminating [50 -] at 60 stops: offer 1
    kill                               | terminating [50 60] publishes 60 of 1 at 60 stops: -saveDeadline; terminate; kill +5s
    graceEnd                           | done [50 60] publishes 60 of 1 stops: cancelPublishing; kill; keep; leave stopped
    stop                               | terminating [50 60] publishes 60 of 1 at 60 stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | terminating [50 60] publishes 60 of 1 at 60 stops: 'checkpointUnavailable'
    notice                             | terminating [50 60] publishes 60 of 1 at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [50 60] publishes 60 of 1 at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [50 60] publishes 60 of 1 at 60 stops: 'warned cloud'
    policy                             | terminating [50 60] publishes 60 of 1 at 60 stops
    """,
  "terminating, saved, 50 is published": """
    attached                           | terminating [50 60] publishes 50 of 0 at 60 stops
    stepped to 61                      | terminating [50 60] publishes 50 of 0 at 61 stops
    heartbeat                          | terminating [50 60] publishes 50 of 0 at 60 stops
    finished 61 in the offered slot    | terminating [50 60] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [50 60] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [50 60] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    published                          | terminating [50 60] durable 50 publishes 60 of 1 at 60 stops: keep; offer 0; publish 60 of 1
    publishing failed                  | terminating [50 60] at 60 stops: offer 0
    exit 0                             | clearing [50 60] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 60] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 60] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 60] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 60] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 publishes 50 of 0 at 60 stops: offer 1
    it took a damaged resume point     | terminating [50 60] publishes 50 of 0 at 60 stops: kill
    publishing failed, it is damaged   | terminating [- 60] at 60 stops: offer 0
    kill                               | terminating [50 60] publishes 50 of 0 at 60 stops: -saveDeadline; terminate; kill +5s
    graceEnd                           | done [50 60] publishes 50 of 0 stops: cancelPublishing; kill; keep; leave stopped
    stop                               | terminating [50 60] publishes 50 of 0 at 60 stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | terminating [50 60] publishes 50 of 0 at 60 stops: 'checkpointUnavailable'
    notice                             | terminating [50 60] publishes 50 of 0 at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [50 60] publishes 50 of 0 at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [50 60] publishes 50 of 0 at 60 stops: 'warned cloud'
    policy                             | terminating [50 60] publishes 50 of 0 at 60 stops
    """,
  "terminating, the save came too late": """
    attached                           | terminating [50 -] publishes 50 of 0 at 60 stops
    stepped to 61                      | terminating [50 -] publishes 50 of 0 at 61 stops
    heartbeat                          | terminating [50 -] publishes 50 of 0 at 60 stops
    finished 61 in the offered slot    | terminating [50 61] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [50 -] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [50 -] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    published                          | terminating [50 -] durable 50 at 60 stops: keep
    publishing failed                  | terminating [50 -] at 60 stops
    exit 0                             | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 publishes 50 of 0 at 60 stops
    it took a damaged resume point     | terminating [50 -] publishes 50 of 0 at 60 stops: kill
    publishing failed, it is damaged   | terminating [- -] at 60 stops: offer 0
    kill                               | terminating [50 -] publishes 50 of 0 at 60 stops: -saveDeadline -kill; kill
    graceEnd                           | done [50 -] publishes 50 of 0 stops: cancelPublishing; kill; keep; leave stopped
    stop                               | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | terminating [50 -] publishes 50 of 0 at 60 stops: 'checkpointUnavailable'
    notice                             | terminating [50 -] publishes 50 of 0 at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [50 -] publishes 50 of 0 at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [50 -] publishes 50 of 0 at 60 stops: 'warned cloud'
    policy                             | terminating [50 -] publishes 50 of 0 at 60 stops
    """,
  "terminating, nothing was staged": """
    attached                           | terminating [- -] at 60 stops: offer 0
    stepped to 61                      | terminating [- -] at 61 stops
    heartbeat                          | terminating [- -] at 60 stops
    finished 61 in the offered slot    | terminating [- -] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [- -] at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [- -] at 60 finished 61 stops: -stage -hang
    exit 0                             | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 at 60 stops: offer 0
    it took a damaged resume point     | terminating [- -] at 60 stops: kill
    staged before its first step       | terminating [0 -] at 60 stops: offer 1
    that failed                        | terminating [- -] at 60 stops failing: 'stageFailed(errno: 28)'; offer 0
    kill                               | terminating [- -] at 60 stops: -saveDeadline -kill; kill
    graceEnd                           | done [- -] stops: kill; keep; leave stopped
    stop                               | terminating [- -] at 60 stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | terminating [- -] at 60 stops: 'checkpointUnavailable'
    notice                             | terminating [- -] at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [- -] at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [- -] at 60 stops: 'warned cloud'
    policy                             | terminating [- -] at 60 stops
    """,
  "terminating, finish was said": """
    attached                           | terminating [50 60] at 60 finished 60 stops: offer 0
    stepped to 61                      | terminating [50 60] at 61 stops
    heartbeat                          | terminating [50 60] at 60 finished 60 stops
    finished 61 in the offered slot    | terminating [50 61] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [50 60] at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [50 60] at 60 finished 61 stops: -stage -hang
    exit 0                             | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 at 60 finished 60 stops: offer 0
    it took a damaged resume point     | terminating [50 60] at 60 finished 60 stops: kill
    kill                               | terminating [50 60] publishes 60 of 1 at 60 finished 60 stops: -saveDeadline; terminate; kill +5s; offer 0; publish 60 of 1
    graceEnd                           | done [50 60] stops: kill; keep; leave stopped
    stop                               | terminating [50 60] publishes 60 of 1 at 60 finished 60 stops: 'hurrying'; -saveDeadline -kill; kill; offer 0; publish 60 of 1
    checkpoint                         | terminating [50 60] at 60 finished 60 stops: 'checkpointUnavailable'
    notice                             | terminating [50 60] at 60 finished 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [50 60] at 60 finished 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [50 60] at 60 finished 60 stops: 'warned cloud'
    policy                             | terminating [50 60] at 60 finished 60 stops
    """,
  "terminating, does not attach": """
    attached                           | terminating [- -] stops: offer 0
    stepped to 61                      | terminating [- -] at 61 stops
    heartbeat                          | terminating [- -] stops
    finished 61 in the offered slot    | terminating [- -] finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [- -] finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [- -] finished 61 stops: -stage -hang
    exit 0                             | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 stops
    it took a damaged resume point     | terminating [- -] stops: kill
    staged before its first step       | terminating [0 -] stops
    that failed                        | terminating [- -] stops failing: 'stageFailed(errno: 28)'
    kill                               | terminating [- -] stops: -saveDeadline -kill; kill
    graceEnd                           | done [- -] stops: kill; keep; leave stopped
    stop                               | terminating [- -] stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                         | terminating [- -] stops: 'checkpointUnavailable'
    notice                             | terminating [- -] stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [- -] stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [- -] stops: 'warned cloud'
    policy                             | terminating [- -] stops
    """,
  "terminating, hung": """
    attached                           | terminating [50 -] at 60
    stepped to 61                      | terminating [50 -] at 61
    heartbeat                          | terminating [50 -] at 60
    finished 61 in the offered slot    | terminating [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot             | terminating [50 -] at 60 finished 61: -stage -hang
    finished 61 in a slot that is none | terminating [50 -] at 60 finished 61: -stage -hang
    exit 0                             | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 at 60: offer 0
    it took a damaged resume point     | terminating [50 -] at 60: kill
    kill                               | terminating [50 -] publishes 50 of 0 at 60: -saveDeadline -kill; kill; publish 50 of 0
    stop                               | terminating [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                         | terminating [50 -] at 60: 'checkpointUnavailable'
    notice                             | terminating [50 -] at 60 goes: 'noticed cloud in 120s'; preemption +106999ms
    notice, another, of no time        | terminating [50 -] at 60 goes: 'noticed cloud in 5s'; preemption +1249ms
    warning                            | terminating [50 -] at 60: 'warned cloud'
    policy                             | terminating [50 -] at 60
    """,
  "terminating, hung, asked for its stacks": """
    attached                           | terminating [50 -] at 60
    stepped to 61                      | terminating [50 -] at 61
    heartbeat                          | terminating [50 -] at 60
    finished 61 in the offered slot    | terminating [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot             | terminating [50 -] at 60 finished 61: -stage -hang
    finished 61 in a slot that is none | terminating [50 -] at 60 finished 61: -stage -hang
    exit 0                             | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 at 60: offer 0
    it took a damaged resume point     | terminating [50 -] at 60: kill
    kill                               | terminating [50 -] publishes 50 of 0 at 60: -saveDeadline -kill; kill; publish 50 of 0
    stop                               | terminating [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                         | terminating [50 -] at 60: 'checkpointUnavailable'
    notice                             | terminating [50 -] at 60 goes: 'noticed cloud in 120s'; preemption +106999ms
    notice, another, of no time        | terminating [50 -] at 60 goes: 'noticed cloud in 5s'; preemption +1249ms
    warning                            | terminating [50 -] at 60: 'warned cloud'
    policy                             | terminating [50 -] at 60
    """,
  "terminating, hung, asked for its stacks and to stop": """
    attached                           | terminating [50 -] at 60 stops
    stepped to 61                      | terminating [50 -] at 61 stops
    heartbeat                          | terminating [50 -] at 60 stops
    finished 61 in the offered slot    | terminating [50 61] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot             | terminating [50 -] at 60 finished 61 stops: -stage -hang
    finished 61 in a slot that is none | terminating [50 -] at 60 finished 61 stops: -stage -hang
    exit 0                             | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                            | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                            | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, no memory                 | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while it restores          | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    its resume point is damaged        | terminating [- -] durable 40 at 60 stops: offer 0
    it took a damaged resume point     | terminating [50 -] at 60 stops: kill
    kill                               | terminating [50 -] publishes 50 of 0 at 60 stops: -saveDeadline -kill; kill; publish 50 of 0
    graceEnd                           | done [50 -] stops: kill; keep; leave stopped
    stop                               | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; -saveDeadline -kill; kill; publish 50 of 0
    checkpoint                         | terminating [50 -] at 60 stops: 'checkpointUnavailable'
    notice                             | terminating [50 -] at 60 stops goes: 'noticed cloud in 120s'
    notice, another, of no time        | terminating [50 -] at 60 stops goes: 'noticed cloud in 5s'; graceEnd +5s
    warning                            | terminating [50 -] at 60 stops: 'warned cloud'
    policy                             | terminating [50 -] at 60 stops
    """,
]
