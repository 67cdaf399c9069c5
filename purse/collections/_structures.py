"""The structures: a new one is its file and one line here.

What is imported here can be imported from ``purse`` and from ``purse.collections``, and type checkers see it in both.
(Written as ``X as X``, because that is how they recognise a name that is passed on.)
"""

from purse.collections.hash import RedisHash as RedisHash
from purse.collections.key_space import RedisKeySpace as RedisKeySpace
from purse.collections.list import RedisList as RedisList
from purse.collections.priority_queue import RedisPriorityQueue as RedisPriorityQueue
from purse.collections.queue import RedisLifoQueue as RedisLifoQueue
from purse.collections.queue import RedisQueue as RedisQueue
from purse.collections.set import RedisSet as RedisSet
from purse.collections.sorted_set import RedisSortedSet as RedisSortedSet
