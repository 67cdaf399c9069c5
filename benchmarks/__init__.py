"""How fast purse is, beside careful hand-written redis-py doing the same work.

    python -m benchmarks                      every row, a minute and a half
    python -m benchmarks --only hash          the rows that have "hash" in their name
    python -m benchmarks --markdown           the table of docs/performance.md
    python -m benchmarks profile              what is left of a call: functions called, microseconds
    python -m benchmarks http                 a FastAPI application under load, four minutes; see benchmarks/http.py

Without ``--url`` an embedded server is started. "By hand" means: the same redis-py with its hiredis parser, a
pool that is large enough for the tasks, and pydantic's ``TypeAdapter`` with its methods bound once.

Both sides run in one process, round by round, taking turns at going first; the first round warms up and
is not counted. Everything that is read or written is compared with what it should be, after the clock has
stopped. A ratio says how many times as fast purse is; the table has the medians over the rounds, of
wall-clock time and of the CPU time of this process. A target is reached if both are at least the target.

    measure     what a trial and a row are, and how two sides are compared
    data        the model, the hand-written codec, clients and keys
    calls       rows of single calls, from 1 to 1000 tasks
    bulk        rows of bulk writes and of iteration
    layer       rows of what purse itself costs per call, with no network
    codecs      rows of encoding and decoding plain JSON, with no network
    footprint   rows of memory and of import time
    profiling   ``python -m benchmarks profile``
    http        ``python -m benchmarks http``; http_apps, http_by_hand and http_load are the processes that it starts
    table       printing, as text and as Markdown
"""
