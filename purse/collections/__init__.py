"""Redis data structures, one class each. They hold no data and no connection.

    RedisHash             an awaitable ``dict``          RedisSet             an awaitable ``set``
    RedisList             a ``list`` and ``deque``       RedisSortedSet       a ranking
    RedisKeySpace         a ``dict`` of separate keys, each with a time to live
    RedisQueue            first in, first out            RedisLifoQueue       last in, first out
    RedisPriorityQueue    the smallest number first

Each can be a field of a ``Store`` or be built directly, ``RedisHash(redis, rkey, value_type)``.

The modules of this package:

    _structures             which structures there are: a new one is its file and one line there
    _object                 RedisObject: bound to a name in Redis, as locks and limiters are, too
      _base                 RedisCollection: codecs, a TTL policy
        _key                RedisKey: one Redis key
          hash, list, set, sorted_set, queue, priority_queue
        key_space           all keys with one prefix
    _compare_and_set        ``modify``, ``edit``, ``patch``             _patching        what ``patch`` changes
    _numbers                ``increment``                               _paging          iteration, page by page
    _arguments              common mistakes in a call                   _operators       and in Python's own syntax
    _field_options          what ``RedisHash.field(...)`` returns       _missing         no argument was given
    _set_algebra            of sets                                     _queue_base      the common part of the queues
    _sorted_set_ends        the smallest and the greatest               _sorted_set_ranges, _sorted_set_slices
    _key_space_entries, _key_space_names, _key_space_many               of key spaces
    _key_space_get_or_create, _single_flight                            a value that is made for a missing entry
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
