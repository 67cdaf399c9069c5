"""RedisRateLimiter and RedisSemaphore: how often, and how many at a time, for all processes.

    class, algorithm                             key                        its value
    RedisRateLimiter, "gcra"                     {shop}:api:ada             one time, "1763400000142857 1"
    RedisRateLimiter, "sliding_window"           {shop}:api:ada             a list: the time of every hit that passed
    RedisSemaphore                               {shop}:workers             a sorted set: permit -> when it expires

Each call is one script, and time is the server's: the clocks of the clients have no effect. All keys expire by
themselves. Neither class guarantees exclusion. If a server loses its data, hits and permits are lost with it. After a
failover, those that were not replicated yet are lost.

GCRA is explained in ``_coordination.rates``, waiting for permits in ``_coordination.permits``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, overload
from uuid import UUID
from weakref import WeakValueDictionary

from redis.exceptions import ResponseError

from purse._coordination.foreign import found_in
from purse._coordination.identities import key_of
from purse._coordination.leases import refuse_to_end
from purse._coordination.limit_options import MOST, check_cost, lease_us, limit_of, rate_of, seconds_of
from purse._coordination.permit_blocks import PermitBlocks
from purse._coordination.permits import Permit, PermitLine, line_of
from purse._coordination.rates import Bucket, Rate
from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import as_array, as_flag, as_int
from purse._engine.scripts import load_script
from purse._engine.slots import hash_tag
from purse.codecs._shown import named, shown
from purse.collections._field_options import field_options
from purse.collections._object import RedisObject, RedisType
from purse.errors import DeclarationError, WrongKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from purse._engine.clients import RedisClient

__all__ = ["Permit", "Rate", "RateLimit", "RedisRateLimiter", "RedisSemaphore"]

Identity: TypeAlias = str | int | UUID
Algorithm: TypeAlias = Literal["gcra", "sliding_window"]

_PATIENCE = 30.0  # seconds for which wait() sleeps at most: another caller may have called reset()

_doors: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()
"""The queues of waiting callers, one for each event loop and key. A queue is kept while a caller waits in it."""


class _Limit(RedisObject):
    """The common part of both: the key, and the error for a key that holds another type."""

    __slots__ = ("rkey",)

    rkey: str

    def __init__(self, redis: RedisClient, rkey: str) -> None:
        super().__init__(redis, rkey)
        self.rkey = rkey

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
            found = found_in(error)
            return WrongKind(
                f"{self._where(field)}: the key must hold {self._in_words}, but it holds {found or 'another type'}. "
                f"{type(self).__name__} did not change it: choose another key, or delete that one.",
                key=self._key(field),
            )
        return super().__purse_explain__(error, field)

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``: the slot is that of the identity's key."""
        return hash_tag(self._key(field))

    def _key(self, field: object) -> str:
        return self.rkey


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The answer of a rate limiter. It is true if ``allowed``.

    Attributes:
        allowed: whether the hit passed, or for ``peek``, whether it would pass.
        remaining: how many more hits would pass now.
        limit: how many hits pass at once after a long pause.
        retry_after: seconds until a hit of this cost would pass, if no other hit comes first. 0.0 if ``allowed``.
        reset_after: seconds until ``remaining`` is ``limit`` again.
    """

    allowed: bool
    remaining: int
    limit: int
    retry_after: float
    reset_after: float

    def __bool__(self) -> bool:
        return self.allowed


class RedisRateLimiter(_Limit):
    """How often something may happen, counted for each identity separately.

        if not await limiter.hit(user_id):
            raise TooManyRequests

    Args:
        redis: the client. A limiter never closes it.
        rkey: the key that counts hits without an identity, used unchanged. ``rkey:identity`` counts for an identity.
        rate: ``"10/second"``, ``"100/minute"``, ``"5/10 seconds"``, ``"1000/hour"``, ``"1/day"``, or a ``Rate``.
        burst: how many hits may pass at once, by default as many as the rate counts. Only with ``"gcra"``.
        algorithm: ``"gcra"`` stores one number for each identity. Hits pass at the rate, and after a pause ``burst``
            of them at once: in a time t at most ``burst + t * rate``. ``"sliding_window"`` never lets more hits pass
            than the rate counts, in any window of the rate's length. It stores each hit, in about 11 bytes.

    Attributes:
        rkey, rate, algorithm: as given.
        limit: how many hits pass at once after a long pause.

    Raises:
        DeclarationError: one of them is something else.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.
    """

    __slots__ = ("_bucket", "algorithm", "limit", "rate")

    __purse_by_identity__ = True

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "string"
    _in_words = "the state of a rate limiter with this algorithm"

    rate: Rate
    algorithm: Algorithm
    limit: int

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        *,
        rate: str | Rate,
        burst: int | None = None,
        algorithm: Algorithm = "gcra",
    ) -> None:
        super().__init__(redis, rkey)
        self.rate = rate_of(rkey, rate)
        self.algorithm = algorithm
        self.limit = limit_of(rkey, self.rate, burst, algorithm)
        self._bucket = None if algorithm == "sliding_window" else Bucket(self.rate, self.limit)

    @staticmethod
    def field(
        *,
        rate: str | Rate,
        burst: int | None = None,
        algorithm: Algorithm | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisRateLimiter:
        """Options of a field of a ``Store``: ``api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")``.

        Args:
            rate: ``"10/second"``, ``"5/10 seconds"``, or a ``Rate``.
            burst: how many hits may pass at once, by default as many as the rate counts. Only with ``"gcra"``.
            algorithm: ``"gcra"``, the default, or ``"sliding_window"``.
            key, rkey: as for ``purse.field``.
        """
        return field_options(RedisRateLimiter, key=key, rkey=rkey, rate=rate, burst=burst, algorithm=algorithm)

    @classmethod
    def __purse_type__(cls, options: Mapping[str, object]) -> RedisType:
        """See ``RedisObject``: a sliding window is a list of hits."""
        return "list" if options.get("algorithm") == "sliding_window" else cls.redis_type

    async def hit(self, identity: Identity = "", *, cost: int = 1) -> RateLimit:
        """Count a hit if it is allowed. A hit that is not allowed costs nothing.

        The check and the count are one step. The hit may have been counted although the caller was cancelled, or got
        an error because the reply was lost. It is never counted twice.

        Args:
            identity: the user, address or thing whose hits are counted. ``42``, ``"42"`` and a UUID never share a
                count. ``""`` counts for the limiter itself.
            cost: as how many hits this one counts, from 1 to ``limit``.

        Raises:
            ValueError: ``cost`` is more than can ever pass, or less than 1.
            TypeError: ``identity`` or ``cost`` is of another type.
            EncodeError: ``identity`` has no UTF-8 form.
            WrongKind: the key holds another type.

        One round trip, O(1). With a sliding window O(cost + log(limit)), and later the same again to remove the hit.
        Sends: EVALSHA rate_gcra, or rate_window.
        """
        return await self._ask(identity, cost, "hit")

    async def peek(self, identity: Identity = "", *, cost: int = 1) -> RateLimit:
        """Return the answer that ``hit`` would give for ``allowed`` and ``retry_after``, and the rest. Counts nothing.

        Raises:
            ValueError, TypeError, EncodeError, WrongKind: as ``hit``.

        One round trip, O(1). With a sliding window O(log(limit)). Sends: EVALSHA rate_gcra, or rate_window.
        """
        return await self._ask(identity, cost, "peek")

    async def reset(self, identity: Identity = "") -> bool:
        """Forget every hit of ``identity``.

        Returns:
            Whether there was anything to forget.

        Raises:
            TypeError, EncodeError: as ``hit``.

        One round trip, O(1). Sends: UNLINK.
        """
        return as_flag(await self._write_plain(("UNLINK", self._key_of(identity)), identity))

    async def wait(
        self, identity: Identity = "", *, cost: int = 1, timeout: float | timedelta | None = None
    ) -> RateLimit:
        """Wait until a hit passes, and count it.

        Callers of one client and event loop are served in the order in which they came, so a hit of high cost gets its
        turn. Between processes there is no order. A caller cancelled while it waits is not counted. One cancelled while
        its request is in flight may be.

        Args:
            timeout: seconds, or a ``timedelta``. None waits for ever.

        Raises:
            TimeoutError: no hit passed in this time. Raised earlier if it is clear that none can.
            ValueError: ``timeout`` is not positive (``hit`` does not wait), or ``cost`` is wrong as for ``hit``.
            TypeError, EncodeError, WrongKind: as ``hit``.

        One round trip if the hit passes at once, else two or more, each after ``retry_after``. Sends: as ``hit``.
        """
        refuse_in_atomic("wait", "waits until the hit passes")
        key, seconds = self._key(identity), seconds_of(timeout, "call hit()")
        check_cost(self.rkey, cost, self.limit)
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        place = (loop, self._executor, key)
        door = _doors.get(place)
        if door is None:
            door = _doors[place] = asyncio.Lock()
        waiting = asyncio.timeout_at(deadline)
        try:
            async with waiting, door:
                while True:
                    answer = await self.hit(identity, cost=cost)
                    if answer.allowed:
                        return answer
                    if deadline is not None and loop.time() + answer.retry_after > deadline:
                        raise self._too_late(identity, timeout)
                    await asyncio.sleep(min(answer.retry_after, _PATIENCE))
        except TimeoutError:
            if not waiting.expired():
                raise
            raise self._too_late(identity, timeout) from None

    async def _ask(self, identity: Identity, cost: int, what: str) -> RateLimit:
        key = self._key_of(identity)
        check_cost(self.rkey, cost, self.limit)
        if self._bucket is None:
            call = load_script("rate_window")((key,), self.limit, self.rate.per_us, cost, what)
        else:
            call = load_script("rate_gcra")((key,), *self._bucket.words(cost), what)
        ask = self._executor.ask_again if what == "peek" else self._executor.ask
        reply = await ask(call, self, identity or None)
        passes, *numbers = map(as_int, as_array(reply))
        if self._bucket is None:
            used, reset_us, retry_us = numbers
            remaining = max(0, self.limit - used)
        else:
            us, part = numbers
            level = self._bucket.level(us, part)
            remaining = self._bucket.remaining(level)
            reset_us, retry_us = self._bucket.reset_us(level), self._bucket.retry_us(level, cost)
        return RateLimit(passes == 1, remaining, self.limit, 0.0 if passes else retry_us / 1e6, reset_us / 1e6)

    def _key_of(self, identity: object) -> str:
        """The key of an identity that a caller has given. Unlike ``_key``, it refuses None."""
        if identity is None:
            raise TypeError(
                f'{named(self.rkey)}: an identity of None would count all callers as one: pass "" if that is intended'
            )
        return key_of(self.rkey, identity)

    def _key(self, field: object) -> str:
        """The key of an identity, or of the limiter itself for None."""
        return key_of(self.rkey, field)

    def _too_late(self, identity: Identity, timeout: object) -> TimeoutError:
        return TimeoutError(f"{self._where(identity or None)}: no hit could pass within timeout={timeout}")


class RedisSemaphore(_Limit):
    """At most ``limit`` permits at a time, for all processes. The permits of a process that dies expire.

        async with semaphore as permit:     # waits
            ...

    A permit expires ``lease`` seconds after it was taken or extended, so a crashed process keeps its place no longer.
    By the server's clock there are never more than ``limit`` permits at any moment. The semaphore cannot stop a body
    that takes longer than its permit is valid. The end of the block reports that with ``LockLost``.

    Args:
        redis: the client. A semaphore never closes it.
        rkey: the key, used unchanged.
        limit: how many permits there are, at least 1. All processes should declare the same number.
        lease: seconds, or a ``timedelta``, for which a permit is valid.

    Attributes:
        rkey, limit: as given.

    Raises:
        DeclarationError: one of them is something else.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    One object may be shared by any number of tasks, and one task may hold several permits.
    """

    __slots__ = ("_blocks", "_lease_us", "limit")

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "zset"
    _in_words = "the permits of a semaphore"

    limit: int

    def __init__(self, redis: RedisClient, rkey: str, *, limit: int, lease: float | timedelta = 60.0) -> None:
        super().__init__(redis, rkey)
        if type(limit) is not int or not 1 <= limit <= MOST:
            raise DeclarationError(f"{named(rkey)}: limit= must be an int from 1 to {MOST}, not {shown(limit)}")
        self.limit = limit
        self._lease_us = lease_us(rkey, lease)
        self._blocks = PermitBlocks()

    @staticmethod
    def field(
        *,
        limit: int,
        lease: float | timedelta | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisSemaphore:
        """Options of a field of a ``Store``: ``beds: RedisSemaphore = RedisSemaphore.field(limit=3)``.

        Args:
            limit: how many permits there are, at least 1.
            lease: seconds, or a ``timedelta``, for which a permit is valid.
            key, rkey: as for ``purse.field``.
        """
        return field_options(RedisSemaphore, key=key, rkey=rkey, limit=limit, lease=lease)

    @property
    def lease(self) -> float:
        """Seconds for which a permit is valid."""
        return self._lease_us / 1e6

    @overload
    async def acquire(self, *, blocking: Literal[True] = True, timeout: None = None) -> Permit: ...
    @overload
    async def acquire(self, *, blocking: bool = True, timeout: float | timedelta | None = None) -> Permit | None: ...
    async def acquire(self, *, blocking: bool = True, timeout: float | timedelta | None = None) -> Permit | None:
        """Take a permit. ``await permit.release()`` or ``async with permit`` gives it back.

        Waiting callers of one client and event loop are served in the order in which they came. Between processes there
        is no order. Waiting uses no additional connection: the server reports when a permit is given back, and a timer
        is set for the next one that expires. A caller that is cancelled at any moment leaves no permit behind. A permit
        whose reply was lost with the connection is given back as soon as the server can be reached, or expires.

        Args:
            blocking: whether to wait for a permit. With False, callers of this process that wait have precedence.
            timeout: seconds, or a ``timedelta``, to wait at most. None waits for ever.

        Returns:
            The permit, or None if no permit was free (in time).

        Raises:
            ValueError: ``timeout`` is not positive, or was given with ``blocking=False``.
            WrongKind: the key holds another type.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server cannot be reached.

        One round trip, O(log(limit)) for each permit, shared by all waiting callers. While they wait, one more for each
        check of the key, and for each try of the first caller. Sends: EVALSHA semaphore_acquire. While it waits ZCARD.
        """
        refuse_in_atomic("acquire", "is about time that passes")
        seconds = seconds_of(timeout, "pass blocking=False")
        if not blocking:
            if seconds is not None:
                raise ValueError(
                    "acquire() with blocking=False does not wait, so it takes no timeout=: omit one of the two"
                )
            return await self._line().get_nowait()
        waiting = asyncio.timeout(seconds)
        try:
            async with waiting:
                return await self._line().get()
        except TimeoutError:
            if not waiting.expired():
                raise
            return None

    async def available(self) -> int:
        """The number of permits that are free. Other callers may have taken them by the time you see it.

        One round trip, O(log(limit)). Sends: EVALSHA semaphore_used.
        """
        used = await self._executor.ask_again(load_script("semaphore_used")((self.rkey,)), self)
        return max(0, self.limit - as_int(used))

    async def __aenter__(self) -> Permit:
        permit = await self.acquire()
        self._blocks.enter(permit)
        return permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        permit = self._blocks.leave()
        if permit is None:
            refuse_to_end(self.rkey, error)
        else:
            await permit.__aexit__(kind, error, traceback)

    def _line(self) -> PermitLine:
        return line_of(self._executor, self, self.rkey, self.limit, self._lease_us)
