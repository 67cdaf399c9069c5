"""The engine: how a call reaches Redis, and which promises hold for it. It does not depend on collections or stores.

The way of a call, from top to bottom. A module imports only modules below it (a contract in pyproject.toml).

    RedisHash.get("a")
      |  command, origin                                      reply, decoded by the collection
      v                                                                                      ^
    interface    Executor: what collections ask for     registry   which executor a client has
    executor     one server: ask, execute, take         resending  when a unit is sent again, and when not
      |                                                 atomic     units of several calls as one transaction
      v  unit -> packing -> bytes                       hooks      atomic and an observer may step in here
    links        the link of each event loop            nodes      is the server a node of a cluster?
    opening      a link of the right kind               modes      which clients share a connection, and why
      |                                                 connecting, advice   opening a connection, and why it fails
      v
    link         the protocol of links, and LinkLost
    shared       one connection for all callers         outbox     requests that wait to be sent
      adoption     on its own transport, the fast one   gate       transactions, until the server allows them
      driven       through redis-py's methods           room       callers that wait for room, on either link
    dedicated    a connection for each call             taking     replies whose caller has left

Callers that wait for something to happen, and what wakes them:

    waits        all lines of one loop                  waiting    Line: elements for waiting callers, in their order
    wakeups      the server reports changed keys        bringing   the other end of a line: waiting for room

Parts of these, statistics and settings:

    unit         commands that are sent together        clients    the methods of redis-py that the engine calls
    scripts      Lua, as EVALSHA and EVAL               urls       the URLs that redis-py may be given
    packing      units to bytes                         statistics purse.statistics, purse.configure
    replies      typed ways to read replies             tracing    OpenTelemetry
    refusals     errors of the server, explained        transactions   may this user send MULTI and EXEC?
    contact      lost and connected again, in the log   losses     connections lost over the same command
    slots        the hash tag of a key

Event loops, threads, forks, and time:

    loops        one value for each loop, and its end   guard      links are closed with their loop
    detached     tasks that belong to no caller         awaited    one task that many callers wait for
    forks        what a child must not touch            cancellation   none is lost, and none is invented
    deadlines    a silent server, told from a busy loop
"""
