"""What locks, limiters and semaphores are made of; none of it knows a collection.

redlock        attempts    one try on a majority of masters          quorum    asking all masters at once
               turns       who of one event loop asks next
locks          lock_line   the queue of a lock in Redis              replicas  a write, and WAIT behind it
both           leases      who holds what, the block, the watchdog   fencing   tokens that only grow
limits         permits     of a semaphore, and who waits for them    rates     "10/second", and its arithmetic
"""
