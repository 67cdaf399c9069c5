"""Redis data structures, one class each; they hold no data and no connection.

    RedisHash             an awaitable ``dict``          RedisSet             an awaitable ``set``
    RedisList             a ``list`` and ``deque``       RedisSortedSet       a ranking
    RedisKeySpace         a ``dict`` of keys of their own, each with a time to live
    RedisQueue            first in, first out            RedisLifoQueue       last in, first out
    RedisPriorityQueue    the smallest number first

Each can be a field of a ``Store`` or be built directly, ``RedisHash(redis, rkey, value_type)``.
"""

from purse.collections._base import RedisCollection
from purse.collections._key import RedisKey
from purse.collections._object import RedisObject
from purse.collections.hash import RedisHash
from purse.collections.key_space import RedisKeySpace
from purse.collections.list import RedisList
from purse.collections.priority_queue import RedisPriorityQueue
from purse.collections.queue import RedisLifoQueue, RedisQueue
from purse.collections.set import RedisSet
from purse.collections.sorted_set import RedisSortedSet, gt, lt

__all__ = [
    "RedisCollection",
    "RedisHash",
    "RedisKey",
    "RedisKeySpace",
    "RedisLifoQueue",
    "RedisList",
    "RedisObject",
    "RedisPriorityQueue",
    "RedisQueue",
    "RedisSet",
    "RedisSortedSet",
    "gt",
    "lt",
]
