"""The parts of locks, limiters and semaphores. None of these modules knows a collection.

Redlock
  attempts             one try on a majority of masters
  quorum               asking all masters at once
  turns                the queue of the tasks of one event loop
RedisLock
  lock_line            the queue of a lock in Redis
  replicas             a write, and WAIT behind it
both
  leases               held leases, the block, the watchdog
  fencing              tokens that only grow
RedisSemaphore
  permits              the permits, and the waiting callers
  permit_blocks        which permit the end of a block gives back
RedisRateLimiter
  rates                "10/second", and its arithmetic
  identities           the key of each identity
all of them
  beside               keys beside a key
  debts                keys that could not be given back, and the task that keeps trying to
  first_connection     waiting for the first connection of a client
  foreign              values of other programs, as scripts report them
  known_scripts        EVAL the first time, EVALSHA from then on
  limit_options        which options a limiter and a semaphore accept
"""
