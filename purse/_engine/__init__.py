"""The engine: how a call reaches Redis, and what is promised of it. It knows no collection and no store.

The way of a call, from top to bottom. A layer imports only what stands below it (a contract in pyproject.toml).

    RedisHash.get("a")
      |  command, origin                                      reply, decoded by the collection
      v                                                                                      ^
    interface    Executor: what collections ask for     registry   which executor a client has
    executor     one server: ask, execute, take         resending  what was not executed, and sending it again
      |                                                 atomic     units of several calls as one transaction
      v  unit -> packing -> bytes                       hooks      who may step in: atomic, an observer
    links        the link of each event loop            nodes      is the server a node of a cluster?
    opening      a link of the right kind               modes      which clients share a connection, and why
      |                                                 connecting, advice   opening a connection, and why it fails
      v
    link         what a link is, and what losing one means
    shared       one connection for all callers         outbox     requests that wait to be sent
      adoption     on its own transport, the fast one   gate       transactions, until the server allows them
      driven       through redis-py's methods           room       callers that wait for room, on either link
    dedicated    a connection for each call             taking     replies whose caller is gone

Callers that wait for something to happen, and what wakes them:

    waits        all lines of one loop                  waiting    Line: elements for those who wait, in their order
    wakeups      the server tells of changed keys       bringing   the other end of a line: waiting for room

What they are made of, and what can be seen and set:

    unit         commands that go out together          clients    what is needed of redis-py, without private names
    scripts      Lua, as EVALSHA and EVAL               urls       what may be given to redis-py
    packing      units to bytes                         statistics purse.statistics, purse.configure
    replies      typed ways to read replies             tracing    OpenTelemetry
    refusals     errors of the server, explained        transactions   may this user send MULTI and EXEC?
    contact      lost and connected again, in the log   losses     connections lost over the same words

Event loops, threads, forks, and time:

    loops        one value for each loop, and its end   guard      links are closed with their loop
    detached     tasks that belong to no caller         awaited    one task that many callers wait for
    forks        what a child must not touch            cancellation   none is lost, and none is made up
    deadlines    a server's silence, not our own delay
"""
