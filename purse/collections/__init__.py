"""Redis data structures, one class each: ``RedisHash``, ``RedisList``.

Each can be a field of a ``Store`` or be built directly, ``RedisHash(redis, rkey, value_type)``.
"""

from purse.collections._base import RedisCollection
from purse.collections._key import RedisKey
from purse.collections.hash import RedisHash
from purse.collections.list import RedisList

__all__ = ["RedisCollection", "RedisHash", "RedisKey", "RedisList"]
