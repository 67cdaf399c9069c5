"""The parts of locks, limiters and semaphores. None of these modules knows a collection.

redlock        attempts    one try on a majority of masters          quorum    asking all masters at once
               turns       the queue of the tasks of one event loop
locks          lock_line   the queue of a lock in Redis              replicas  a write, and WAIT behind it
both           leases      held leases, the block, the watchdog      fencing   tokens that only grow
limits         permits     of a semaphore, and the waiting callers   rates     "10/second", and its arithmetic
"""
