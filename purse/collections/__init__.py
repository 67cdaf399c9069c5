"""Redis data structures, one class each. They hold no data and no connection.

    RedisHash             an awaitable ``dict``          RedisSet             an awaitable ``set``
    RedisList             a ``list`` and ``deque``       RedisSortedSet       a ranking
    RedisKeySpace         a ``dict`` of separate keys, each with a time to live
    RedisQueue            first in, first out            RedisLifoQueue       last in, first out
    RedisPriorityQueue    the smallest number first

Each can be a field of a ``Store`` or be built directly, ``RedisHash(redis, rkey, value_type)``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from purse.collections import _structures
from purse.collections._base import RedisCollection as RedisCollection
from purse.collections._key import RedisKey as RedisKey
from purse.collections._object import RedisObject as RedisObject
from purse.collections._structures import *  # noqa: F403
from purse.collections.sorted_set import gt as gt
from purse.collections.sorted_set import lt as lt

__purse_structures__: Mapping[str, type[RedisObject]] = {
    name: made for name, made in vars(_structures).items() if isinstance(made, type)
}

if not TYPE_CHECKING:
    __all__ = sorted({*__purse_structures__, "RedisCollection", "RedisKey", "RedisObject", "gt", "lt"})  # noqa: PLE0605
