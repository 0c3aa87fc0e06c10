// A cell is one line, however long.
// swift-format-ignore-file

/// While it is to leave.
let cellsWhenStopping: [String: String] = [
  "saving, preemption ahead": """
    attached                        | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    stepped to 61                   | saving [50 -] saveAndLeave 3 in 1 at 61 publishNext for preemption stopsByNotice preempting
    heartbeat                       | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    staged 61                       | terminating [50 61] publishes 61 of 1 at 60 stopsByNotice preempting: 'saveAnswered(step: 61)'; offer 0; publish 61 of 1 for preemption+stop; -saveDeadline; kill +2s
    missed                          | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice preempting: offer 1; publish 50 of 0 for preemption+stop; -saveDeadline; terminate; kill +2s; mark 50 for stop
    staging failed                  | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice preempting failing: 'stageFailed(errno: 28)'; offer 1; publish 50 of 0 for preemption+stop; -saveDeadline; terminate; kill +2s; mark 50 for stop
    finished 61 in the offered slot | terminating [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline; kill +2s
    finished 61 in no slot          | terminating [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline; kill +2s
    finished 61 in an invalid slot  | terminating [50 -] at 60 finished 61 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline; kill +2s
    exit 0                          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | saving [- -] durable 40 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    loaded a damaged resume point   | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: kill
    adopted                         | saving [50 -] durable 3 saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: keep
    saveDeadline                    | terminating [50 -] publishes 50 of 0 at 60 stopsByNotice preempting: 'saveTimedOut'; request cancel 4 in 1; -saveDeadline; terminate; kill +2s; offer 1; publish 50 of 0 for preemption+stop
    graceEnd                        | done [50 -] saveAndLeave 3 in 1 publishNext for preemption stopsByNotice preempting: kill; keep; 'survived with 0, 8s spare'; leave stopped
    stop                            | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stops preempting: 'stopping in 8s'
    checkpoint                      | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'checkpointUnavailable'
    notice                          | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    second notice, no time left     | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                         | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting: 'warned cloud'
    notice cancelled                | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice: -preemption; 'cancelled cloud'
    policy                          | saving [50 -] saveAndLeave 3 in 1 at 60 publishNext for preemption stopsByNotice preempting
    """,
  "saving": """
    attached                        | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    stepped to 61                   | saving [50 -] saveAndLeave 2 in 1 at 61 stops
    heartbeat                       | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    staged 61                       | terminating [50 61] publishes 61 of 1 at 60 stops: 'saveAnswered(step: 61)'; offer 0; publish 61 of 1 for stop; -saveDeadline; kill +5s
    missed                          | terminating [50 -] publishes 50 of 0 at 60 stops: offer 1; publish 50 of 0 for stop; -saveDeadline; terminate; kill +5s; mark 50 for stop
    staging failed                  | terminating [50 -] publishes 50 of 0 at 60 stops failing: 'stageFailed(errno: 28)'; offer 1; publish 50 of 0 for stop; -saveDeadline; terminate; kill +5s; mark 50 for stop
    finished 61 in the offered slot | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in no slot          | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in an invalid slot  | terminating [50 -] at 60 finished 61 stops: -stage -hang -saveDeadline; kill +5s
    exit 0                          | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] saveAndLeave 2 in 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | saving [- -] durable 40 saveAndLeave 2 in 1 at 60 stops
    loaded a damaged resume point   | saving [50 -] saveAndLeave 2 in 1 at 60 stops: kill
    adopted                         | saving [50 -] durable 3 saveAndLeave 2 in 1 at 60 stops: keep
    saveDeadline                    | terminating [50 -] publishes 50 of 0 at 60 stops: 'saveTimedOut'; request cancel 3 in 1; -saveDeadline; terminate; kill +5s; offer 1; publish 50 of 0 for stop
    graceEnd                        | done [50 -] saveAndLeave 2 in 1 stops: kill; keep; leave stopped
    stop                            | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; request cancel 3 in 1; -saveDeadline -kill; kill; offer 1; publish 50 of 0 for stop
    checkpoint                      | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'checkpointUnavailable'
    notice                          | saving [50 -] saveAndLeave 2 in 1 at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | saving [50 -] saveAndLeave 2 in 1 at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                         | saving [50 -] saveAndLeave 2 in 1 at 60 stops: 'warned cloud'
    policy                          | saving [50 -] saveAndLeave 2 in 1 at 60 stops
    """,
  "saving, no slot is free": """
    attached                         | saving [50 60] publishes 50 of 0 at 61 waiting stops
    stepped to 61                    | saving [50 60] publishes 50 of 0 at 61 waiting stops
    heartbeat                        | saving [50 60] publishes 50 of 0 at 61 waiting stops
    finished 61 in the offered slot  | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in no slot           | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    finished 61 in an invalid slot   | terminating [50 60] publishes 50 of 0 at 61 finished 61 waiting stops: -stage -hang -saveDeadline; kill +5s
    published                        | saving [- 60] durable 50 saveAndLeave 3 in 0 at 61 stops: keep; offer 0; withdraw; request saveAndLeave 3 in 0 by +16s
    publishing failed                | saving [- 60] saveAndLeave 3 in 0 at 61 stops: offer 0; withdraw; request saveAndLeave 3 in 0 by +9500ms
    exit 0                           | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 60] publishes 50 of 0 at 61 waiting stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | saving [- -] durable 40 publishes 50 of 0 at 61 waiting stops: offer 1
    loaded a damaged resume point    | saving [50 60] publishes 50 of 0 at 61 waiting stops: kill
    publishing failed, image damaged | saving [- 60] saveAndLeave 3 in 0 at 61 stops: offer 0; withdraw; request saveAndLeave 3 in 0 by +9500ms
    adopted                         | saving [50 60] durable 3 publishes 50 of 0 at 61 waiting stops: keep
    saveDeadline                     | terminating [50 60] publishes 50 of 0 at 61 waiting for stop stops: 'saveTimedOut'; -saveDeadline; terminate; kill +5s
    graceEnd                         | done [50 60] publishes 50 of 0 waiting stops: cancelPublishing; kill; keep; leave stopped
    stop                             | terminating [50 60] publishes 50 of 0 at 61 waiting for stop stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                       | saving [50 60] publishes 50 of 0 at 61 waiting stops: 'checkpointUnavailable'
    notice                           | saving [50 60] publishes 50 of 0 at 61 waiting stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | saving [50 60] publishes 50 of 0 at 61 waiting stops preempting: 'noticed cloud in 5s'; graceEnd +5s; saveDeadline +800ms
    warning                          | saving [50 60] publishes 50 of 0 at 61 waiting stops: 'warned cloud'
    policy                           | saving [50 60] publishes 50 of 0 at 61 waiting stops
    """,
  "terminating, saved, is published": """
    attached                         | terminating [50 60] publishes 60 of 1 at 60 stops
    stepped to 61                    | terminating [50 60] publishes 60 of 1 at 61 stops
    heartbeat                        | terminating [50 60] publishes 60 of 1 at 60 stops
    finished 61 in the offered slot  | terminating [61 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot           | terminating [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot   | terminating [50 60] publishes 60 of 1 at 60 finished 61 stops: -stage -hang
    published                        | terminating [50 60] durable 60 at 60 stops: keep
    publishing failed                | terminating [50 60] at 60 stops
    exit 0                           | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 60] publishes 60 of 1 at 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | terminating [- -] durable 40 publishes 60 of 1 at 60 stops
    loaded a damaged resume point    | terminating [50 60] publishes 60 of 1 at 60 stops: kill
    publishing failed, image damaged | terminating [50 -] at 60 stops: offer 1
    adopted                         | terminating [50 60] durable 3 publishes 60 of 1 at 60 stops: keep
    kill                             | terminating [50 60] publishes 60 of 1 at 60 stops: -saveDeadline; terminate; kill +5s; mark 60 for stop
    graceEnd                         | done [50 60] publishes 60 of 1 stops: cancelPublishing; kill; keep; leave stopped
    stop                             | terminating [50 60] publishes 60 of 1 at 60 stops: 'hurrying'; -saveDeadline -kill; kill; mark 60 for stop
    checkpoint                       | terminating [50 60] publishes 60 of 1 at 60 stops: 'checkpointUnavailable'
    notice                           | terminating [50 60] publishes 60 of 1 at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | terminating [50 60] publishes 60 of 1 at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | terminating [50 60] publishes 60 of 1 at 60 stops: 'warned cloud'
    policy                           | terminating [50 60] publishes 60 of 1 at 60 stops
    """,
  "terminating, saved, 50 is published": """
    attached                         | terminating [50 60] publishes 50 of 0 at 60 for stop stops
    stepped to 61                    | terminating [50 60] publishes 50 of 0 at 61 for stop stops
    heartbeat                        | terminating [50 60] publishes 50 of 0 at 60 for stop stops
    finished 61 in the offered slot  | terminating [50 60] publishes 50 of 0 at 60 finished 61 for stop stops: -stage -hang
    finished 61 in no slot           | terminating [50 60] publishes 50 of 0 at 60 finished 61 for stop stops: -stage -hang
    finished 61 in an invalid slot   | terminating [50 60] publishes 50 of 0 at 60 finished 61 for stop stops: -stage -hang
    published                        | terminating [50 60] durable 50 publishes 60 of 1 at 60 stops: keep; offer 0; publish 60 of 1 for stop
    publishing failed                | terminating [50 60] at 60 for stop stops: offer 0
    exit 0                           | clearing [50 60] publishes 50 of 0 at 60 for stop stops: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 60] publishes 50 of 0 at 60 for stop stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 60] publishes 50 of 0 at 60 for stop stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 60] publishes 50 of 0 at 60 for stop stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 60] publishes 50 of 0 at 60 for stop stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | terminating [- -] durable 40 publishes 50 of 0 at 60 for stop stops: offer 1
    loaded a damaged resume point    | terminating [50 60] publishes 50 of 0 at 60 for stop stops: kill
    publishing failed, image damaged | terminating [- 60] at 60 for stop stops: offer 0
    adopted                         | terminating [50 60] durable 3 publishes 50 of 0 at 60 for stop stops: keep
    kill                             | terminating [50 60] publishes 50 of 0 at 60 for stop stops: -saveDeadline; terminate; kill +5s
    graceEnd                         | done [50 60] publishes 50 of 0 for stop stops: cancelPublishing; kill; keep; leave stopped
    stop                             | terminating [50 60] publishes 50 of 0 at 60 for stop stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                       | terminating [50 60] publishes 50 of 0 at 60 for stop stops: 'checkpointUnavailable'
    notice                           | terminating [50 60] publishes 50 of 0 at 60 for stop stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | terminating [50 60] publishes 50 of 0 at 60 for stop stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | terminating [50 60] publishes 50 of 0 at 60 for stop stops: 'warned cloud'
    policy                           | terminating [50 60] publishes 50 of 0 at 60 for stop stops
    """,
  "terminating, save timed out": """
    attached                         | terminating [50 -] publishes 50 of 0 at 60 stops
    stepped to 61                    | terminating [50 -] publishes 50 of 0 at 61 stops
    heartbeat                        | terminating [50 -] publishes 50 of 0 at 60 stops
    finished 61 in the offered slot  | terminating [50 61] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in no slot           | terminating [50 -] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot   | terminating [50 -] publishes 50 of 0 at 60 finished 61 stops: -stage -hang
    published                        | terminating [50 -] durable 50 at 60 stops: keep
    publishing failed                | terminating [50 -] at 60 stops
    exit 0                           | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                          | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                          | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory           | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring          | clearing [50 -] publishes 50 of 0 at 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged             | terminating [- -] durable 40 publishes 50 of 0 at 60 stops
    loaded a damaged resume point    | terminating [50 -] publishes 50 of 0 at 60 stops: kill
    publishing failed, image damaged | terminating [- -] at 60 stops: offer 0
    adopted                         | terminating [50 -] durable 3 publishes 50 of 0 at 60 stops: keep
    kill                             | terminating [50 -] publishes 50 of 0 at 60 stops: -saveDeadline -kill; kill; mark 50 for stop
    graceEnd                         | done [50 -] publishes 50 of 0 stops: cancelPublishing; kill; keep; leave stopped
    stop                             | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; -saveDeadline -kill; kill; mark 50 for stop
    checkpoint                       | terminating [50 -] publishes 50 of 0 at 60 stops: 'checkpointUnavailable'
    notice                           | terminating [50 -] publishes 50 of 0 at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left      | terminating [50 -] publishes 50 of 0 at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                          | terminating [50 -] publishes 50 of 0 at 60 stops: 'warned cloud'
    policy                           | terminating [50 -] publishes 50 of 0 at 60 stops
    """,
  "terminating, nothing was staged": """
    attached                        | terminating [- -] at 60 stops: offer 0
    stepped to 61                   | terminating [- -] at 61 stops
    heartbeat                       | terminating [- -] at 60 stops
    finished 61 in the offered slot | terminating [- -] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot          | terminating [- -] at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | terminating [- -] at 60 finished 61 stops: -stage -hang
    exit 0                          | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 at 60 stops: offer 0
    loaded a damaged resume point   | terminating [- -] at 60 stops: kill
    staged before the first step    | terminating [0 -] at 60 stops: offer 1
    initial staging failed          | terminating [- -] at 60 stops failing: 'stageFailed(errno: 28)'; offer 0
    adopted                         | terminating [- -] durable 3 at 60 stops: keep
    kill                            | terminating [- -] at 60 stops: -saveDeadline -kill; kill
    graceEnd                        | done [- -] stops: kill; keep; leave stopped
    stop                            | terminating [- -] at 60 stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                      | terminating [- -] at 60 stops: 'checkpointUnavailable'
    notice                          | terminating [- -] at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | terminating [- -] at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | terminating [- -] at 60 stops: 'warned cloud'
    policy                          | terminating [- -] at 60 stops
    """,
  "terminating, finish reported": """
    attached                        | terminating [50 60] at 60 finished 60 stops: offer 0
    stepped to 61                   | terminating [50 60] at 61 stops
    heartbeat                       | terminating [50 60] at 60 finished 60 stops
    finished 61 in the offered slot | terminating [50 61] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot          | terminating [50 60] at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | terminating [50 60] at 60 finished 61 stops: -stage -hang
    exit 0                          | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 60] at 60 finished 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 at 60 finished 60 stops: offer 0
    loaded a damaged resume point   | terminating [50 60] at 60 finished 60 stops: kill
    adopted                         | terminating [50 60] durable 3 at 60 finished 60 stops: keep
    kill                            | terminating [50 60] publishes 60 of 1 at 60 finished 60 stops: -saveDeadline; terminate; kill +5s; offer 0; publish 60 of 1 for stop
    graceEnd                        | done [50 60] stops: kill; keep; leave stopped
    stop                            | terminating [50 60] publishes 60 of 1 at 60 finished 60 stops: 'hurrying'; -saveDeadline -kill; kill; offer 0; publish 60 of 1 for stop
    checkpoint                      | terminating [50 60] at 60 finished 60 stops: 'checkpointUnavailable'
    notice                          | terminating [50 60] at 60 finished 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | terminating [50 60] at 60 finished 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | terminating [50 60] at 60 finished 60 stops: 'warned cloud'
    policy                          | terminating [50 60] at 60 finished 60 stops
    """,
  "terminating, not attached": """
    attached                        | terminating [- -] stops: offer 0
    stepped to 61                   | terminating [- -] at 61 stops
    heartbeat                       | terminating [- -] stops
    finished 61 in the offered slot | terminating [- -] finished 61 stops: -stage -hang
    finished 61 in no slot          | terminating [- -] finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | terminating [- -] finished 61 stops: -stage -hang
    exit 0                          | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [- -] stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 stops
    loaded a damaged resume point   | terminating [- -] stops: kill
    staged before the first step    | terminating [0 -] stops
    initial staging failed          | terminating [- -] stops failing: 'stageFailed(errno: 28)'
    adopted                         | terminating [- -] durable 3 stops: keep
    kill                            | terminating [- -] stops: -saveDeadline -kill; kill
    graceEnd                        | done [- -] stops: kill; keep; leave stopped
    stop                            | terminating [- -] stops: 'hurrying'; -saveDeadline -kill; kill
    checkpoint                      | terminating [- -] stops: 'checkpointUnavailable'
    notice                          | terminating [- -] stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | terminating [- -] stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | terminating [- -] stops: 'warned cloud'
    policy                          | terminating [- -] stops
    """,
  "terminating, hung": """
    attached                        | terminating [50 -] at 60
    stepped to 61                   | terminating [50 -] at 61
    heartbeat                       | terminating [50 -] at 60
    finished 61 in the offered slot | terminating [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | terminating [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | terminating [50 -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | terminating [50 -] at 60: kill
    adopted                         | terminating [50 -] durable 3 at 60: keep
    kill                            | terminating [50 -] publishes 50 of 0 at 60: -saveDeadline -kill; kill; publish 50 of 0 for failure
    stop                            | terminating [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | terminating [50 -] at 60: 'checkpointUnavailable'
    notice                          | terminating [50 -] at 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | terminating [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | terminating [50 -] at 60: 'warned cloud'
    policy                          | terminating [50 -] at 60
    """,
  "terminating, hung, stacks requested": """
    attached                        | terminating [50 -] at 60
    stepped to 61                   | terminating [50 -] at 61
    heartbeat                       | terminating [50 -] at 60
    finished 61 in the offered slot | terminating [50 61] at 60 finished 61: -stage -hang
    finished 61 in no slot          | terminating [50 -] at 60 finished 61: -stage -hang
    finished 61 in an invalid slot  | terminating [50 -] at 60 finished 61: -stage -hang
    exit 0                          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] at 60: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 at 60: offer 0
    loaded a damaged resume point   | terminating [50 -] at 60: kill
    adopted                         | terminating [50 -] durable 3 at 60: keep
    kill                            | terminating [50 -] publishes 50 of 0 at 60: -saveDeadline -kill; kill; publish 50 of 0 for failure
    stop                            | terminating [50 -] at 60 stops: 'stopping in 25s'; graceEnd +25s; -preemption
    checkpoint                      | terminating [50 -] at 60: 'checkpointUnavailable'
    notice                          | terminating [50 -] at 60 preempting: 'noticed cloud in 120s'; preemption +106999ms
    second notice, no time left     | terminating [50 -] at 60 preempting: 'noticed cloud in 5s'; preemption +1249ms
    warning                         | terminating [50 -] at 60: 'warned cloud'
    policy                          | terminating [50 -] at 60
    """,
  "terminating, hung, stacks and stop requested": """
    attached                        | terminating [50 -] at 60 stops
    stepped to 61                   | terminating [50 -] at 61 stops
    heartbeat                       | terminating [50 -] at 60 stops
    finished 61 in the offered slot | terminating [50 61] at 60 finished 61 stops: -stage -hang
    finished 61 in no slot          | terminating [50 -] at 60 finished 61 stops: -stage -hang
    finished 61 in an invalid slot  | terminating [50 -] at 60 finished 61 stops: -stage -hang
    exit 0                          | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    exit 75                         | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL                         | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL, out of memory          | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    SIGKILL while restoring         | clearing [50 -] at 60 stops: -stage -hang -saveDeadline -kill; clear
    resume point damaged            | terminating [- -] durable 40 at 60 stops: offer 0
    loaded a damaged resume point   | terminating [50 -] at 60 stops: kill
    adopted                         | terminating [50 -] durable 3 at 60 stops: keep
    kill                            | terminating [50 -] publishes 50 of 0 at 60 stops: -saveDeadline -kill; kill; publish 50 of 0 for stop
    graceEnd                        | done [50 -] stops: kill; keep; leave stopped
    stop                            | terminating [50 -] publishes 50 of 0 at 60 stops: 'hurrying'; -saveDeadline -kill; kill; publish 50 of 0 for stop
    checkpoint                      | terminating [50 -] at 60 stops: 'checkpointUnavailable'
    notice                          | terminating [50 -] at 60 stops preempting: 'noticed cloud in 120s'
    second notice, no time left     | terminating [50 -] at 60 stops preempting: 'noticed cloud in 5s'; graceEnd +5s
    warning                         | terminating [50 -] at 60 stops: 'warned cloud'
    policy                          | terminating [50 -] at 60 stops
    """,
]
