"""A soak: every structure used by 200 tasks at once, with cancels and faults, and a history that is checked.

    python -m tests.soak --seconds 600 --seed 7 --mode shared

It runs in rounds. Each has keys of its own, and is judged at its end, when everything is quiet:

    round 0  calm    cancels, SCRIPT FLUSH, OOM, CLIENT PAUSE, SIGSTOP: nothing at all may be lost
    round 1  rough   and kill -9, CLIENT KILL, lost replies: what is being taken when a connection breaks may be lost
    round 2  calm    ...

What is done and when is decided by the seed; how the calls of the tasks meet is not. The faults hit servers that it
has started itself. The exit status is 1 if anything is found; each finding carries the history that led to it.

    plan     what goes wrong, and when             work/    what the tasks do, one file for each kind of promise
    faults   makes it go wrong                     checks/  what must hold of it
    scene    servers, proxy, clients               journal  counts, events and findings
    calls    one call, what came of it             flatness memory, tasks and connections from round to round
    rounds   one round                             running  the whole soak
"""
