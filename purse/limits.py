"""RedisRateLimiter and RedisSemaphore: how often, and how many at a time, among all processes.

    RedisRateLimiter                             key                        what it holds
        algorithm="gcra"                         {shop}:api:ada             one time, "1763400000142857 1"
        algorithm="sliding_window"               {shop}:api:ada             a list: the time of every hit that passed
    RedisSemaphore                               {shop}:workers             a sorted set: permit -> when it expires

Each question is one script, and the only clock is the server's: what time it is on the machines that ask makes no
difference. All keys expire by themselves. Neither is a lock on anything: a server that forgets its data forgets
hits and permits, and so does a failover what had not yet been replicated.

GCRA is explained in ``_coordination.rates``, waiting for permits in ``_coordination.permits``.
"""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, overload
from uuid import UUID
from weakref import WeakValueDictionary

from redis.exceptions import ResponseError

from purse._coordination.foreign import found_in
from purse._coordination.leases import has_ended, refuse_to_end
from purse._coordination.permits import Permit, PermitLine, line_of
from purse._coordination.rates import MICROSECOND, Bucket, Rate
from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import as_array, as_flag, as_int
from purse._engine.scripts import load_script
from purse._engine.slots import hash_tag
from purse.codecs._shown import named, shown
from purse.collections._field_options import field_options
from purse.collections._object import RedisObject, RedisType
from purse.errors import DeclarationError, EncodeError, WrongKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from purse._engine.clients import RedisClient

__all__ = ["Permit", "Rate", "RateLimit", "RedisRateLimiter", "RedisSemaphore"]

Identity: TypeAlias = str | int | UUID
Algorithm: TypeAlias = Literal["gcra", "sliding_window"]

_MOST = 1_000_000  # permits, or hits in the log of one identity
_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=3660)
_PATIENCE = 30.0  # seconds for which wait() sleeps at most: somebody may have called reset()

_doors: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()
"""Where callers of one event loop queue up for one key; kept while somebody does."""


class _Limit(RedisObject):
    """What both have in common: a name that is a key, and what is said if that holds something else."""

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
                f"{self._where(field)}: the key holds something else than {self._in_words}, so "
                f"{type(self).__name__} left it alone. {f'It holds {found}. ' if found else ''}"
                "Choose another key, or delete that one.",
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
    """What a rate limiter answers. It is true if ``allowed``.

    Attributes:
        allowed: whether the hit passed; of ``peek``, whether it would.
        remaining: how many more hits would pass now.
        limit: how many pass at once if there was none for long.
        retry_after: seconds until a hit of this cost would pass if there is no other meanwhile; 0.0 if ``allowed``.
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
    """How often something may happen, counted for each identity by itself.

        if not await limiter.hit(user_id):
            raise TooManyRequests

    Args:
        redis: the client; never closed here.
        rkey: the key that counts when there is no identity, used as it is; ``rkey:identity`` counts for an identity.
        rate: ``"10/second"``, ``"100/minute"``, ``"5/10 seconds"``, ``"1000/hour"``, ``"1/day"``, or a ``Rate``.
        burst: how many may happen at once; by default as many as the rate counts. Only with ``"gcra"``.
        algorithm: ``"gcra"`` is one number for each identity, and lets hits pass at the rate, after a rest ``burst``
            at once: in a time t at most ``burst + t * rate``. ``"sliding_window"`` never lets more pass than the rate
            counts in any window as long as the rate's, and remembers each hit for that: some 11 bytes.

    Attributes:
        rkey, rate, algorithm: as given.
        limit: how many pass at once if there was none for long.

    Raises:
        DeclarationError: one of them is something else.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.
    """

    __slots__ = ("_bucket", "algorithm", "limit", "rate")

    __purse_by_identity__ = True

    __purse_structure__ = True
    redis_type = "string"
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
        self.rate = _rate(rkey, rate)
        self.algorithm = algorithm
        given: object = algorithm
        if given not in ("gcra", "sliding_window"):
            raise DeclarationError(f'{named(rkey)}: algorithm= is "gcra" or "sliding_window", not {shown(given)}')
        if burst is not None and (type(burst) is not int or not 1 <= burst <= 10**9):
            raise DeclarationError(f"{named(rkey)}: burst= is an int from 1 to {10**9}, not {shown(burst)}")
        if algorithm == "sliding_window" and burst is not None:
            raise DeclarationError(f'{named(rkey)}: a sliding window has no burst=; drop it, or use algorithm="gcra"')
        if algorithm == "sliding_window" and self.rate.count > _MOST:
            raise DeclarationError(
                f'{named(rkey)}: a sliding window remembers each hit, at most {_MOST}; use algorithm="gcra" for '
                f"{self.rate}"
            )
        self.limit = burst or self.rate.count
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
            burst: how many may happen at once; by default as many as the rate counts. Only with ``"gcra"``.
            algorithm: ``"gcra"``, the default, or ``"sliding_window"``.
            key, rkey: as for ``purse.field``.
        """
        return cast(
            "RedisRateLimiter",
            field_options(RedisRateLimiter, key=key, rkey=rkey, rate=rate, burst=burst, algorithm=algorithm),
        )

    @classmethod
    def __purse_type__(cls, options: Mapping[str, object]) -> RedisType:
        """See ``RedisObject``: a sliding window is a list of hits."""
        return "list" if options.get("algorithm") == "sliding_window" else cls.redis_type

    async def hit(self, identity: Identity = "", *, cost: int = 1) -> RateLimit:
        """Count a hit if it is allowed; one that is not costs nothing.

        Question and count are one step. It may have been counted although the caller was cancelled, or got an error
        because the reply was lost; it never counts twice.

        Args:
            identity: who or what is counted. ``42``, ``"42"`` and a UUID never share a count; ``""`` is the limiter
                itself.
            cost: how many hits this one is; from 1 to ``limit``.

        Raises:
            ValueError: ``cost`` is more than would ever pass, or less than 1.
            TypeError: ``identity`` or ``cost`` is of another type.
            EncodeError: ``identity`` has no UTF-8 form.
            WrongKind: the key holds something else.

        One round trip, O(1); with a sliding window O(cost + log(limit)), and later as much to forget it. Sends: EVALSHA
        rate_gcra, or rate_window.
        """
        return await self._ask(identity, cost, "hit")

    async def peek(self, identity: Identity = "", *, cost: int = 1) -> RateLimit:
        """What ``hit`` would say of ``allowed`` and ``retry_after``, and what remains; nothing is counted.

        Raises:
            ValueError, TypeError, EncodeError, WrongKind: as ``hit``.

        One round trip, O(1); with a sliding window O(log(limit)). Sends: EVALSHA rate_gcra, or rate_window.
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

        Callers of one client and event loop are served in the order in which they came, so that one of high cost gets
        its turn; between processes there is no order. Who is cancelled while it waits is not counted; in the moment in
        which it asks, it may be.

        Args:
            timeout: seconds, or a ``timedelta``; None waits for ever.

        Raises:
            TimeoutError: it did not pass in this time; or, earlier, it is clear that it will not.
            ValueError: ``timeout`` is not positive: ``hit`` does not wait; or as ``hit``.
            TypeError, EncodeError, WrongKind: as ``hit``.

        Two round trips or more, each after ``retry_after``; one if the hit passes at once. Sends: as ``hit``.
        """
        refuse_in_atomic("wait", "waits until the hit passes")
        key, seconds = self._key(identity), _seconds(timeout, "hit() does not wait")
        self._check_cost(cost)
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
        self._check_cost(cost)
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

    def _check_cost(self, cost: int) -> None:
        if type(cost) is not int:
            raise TypeError(f"{named(self.rkey)}: cost= is an int, not {shown(cost)}")
        if not 1 <= cost <= self.limit:
            raise ValueError(
                f"{named(self.rkey)}: cost={cost} will never pass: it must be from 1 to the limit, {self.limit}"
            )

    def _key_of(self, identity: object) -> str:
        """The key of an identity that a caller has given: ``_key``, where None is no identity."""
        if identity is None:
            raise TypeError(f'{named(self.rkey)}: an identity of None would count all as one; pass "" if that is meant')
        return self._key(identity)

    def _key(self, field: object) -> str:
        """The key of an identity: no two have the same.

        A ``#`` in front says that it is not a str: "ada" is ada, 42 is #42, a UUID #0f51..., and "#42" is ##42.
        """
        if isinstance(field, str):
            name = str.__str__(field)  # of an enum, its value
            try:
                name.encode()
            except UnicodeEncodeError:
                raise EncodeError(
                    f"{named(self.rkey)}: the identity {shown(name)} contains a lone surrogate, which has no "
                    "UTF-8 form",
                    key=self.rkey,
                    field=name,
                ) from None
            return f"{self.rkey}:{'#' if name.startswith('#') else ''}{name}" if name else self.rkey
        if isinstance(field, UUID):
            return f"{self.rkey}:#{field}"
        if isinstance(field, int) and not isinstance(field, bool):
            return f"{self.rkey}:#{int(field)}"
        if field is None:
            return self.rkey
        raise TypeError(f"{named(self.rkey)}: an identity is a str, an int or a UUID, not {shown(field)}")

    def _too_late(self, identity: Identity, timeout: object) -> TimeoutError:
        return TimeoutError(f"{self._where(identity or None)}: no hit passes within timeout={timeout}")


class RedisSemaphore(_Limit):
    """At most so many at a time, among all processes; the places of those who died come back.

        async with semaphore as permit:     # waits
            ...

    A permit expires ``lease`` seconds after it was taken or extended, so that no crash can keep its place for longer.
    By the server's clock there are never more than ``limit`` permits at any moment. It cannot stop a body that outlives
    its permit: that is reported with ``LockLost`` at the end of the block.

    Args:
        redis: the client; never closed here.
        rkey: the key, used as it is.
        limit: how many permits there are; at least 1. Everybody should declare the same.
        lease: seconds, or a ``timedelta``, for which a permit is good.

    Attributes:
        rkey, limit: as given.

    Raises:
        DeclarationError: one of them is something else.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    One object may be shared by any number of tasks, and one task may hold several permits.
    """

    __slots__ = ("_blocks", "_lease_us", "limit")

    __purse_structure__ = True
    redis_type = "zset"
    _in_words = "the permits of a semaphore"

    limit: int

    def __init__(self, redis: RedisClient, rkey: str, *, limit: int, lease: float | timedelta = 60.0) -> None:
        super().__init__(redis, rkey)
        if type(limit) is not int or not 1 <= limit <= _MOST:
            raise DeclarationError(f"{named(rkey)}: limit= is an int from 1 to {_MOST}, not {shown(limit)}")
        self.limit = limit
        self._lease_us = _lease_us(rkey, lease)
        self._blocks: dict[Permit, weakref.ref[asyncio.Task[object]] | None] = {}  # who entered, in their order

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
            limit: how many permits there are; at least 1.
            lease: seconds, or a ``timedelta``, for which a permit is good.
            key, rkey: as for ``purse.field``.
        """
        return cast("RedisSemaphore", field_options(RedisSemaphore, key=key, rkey=rkey, limit=limit, lease=lease))

    @property
    def lease(self) -> float:
        """Seconds for which a permit is good."""
        return self._lease_us / 1e6

    @overload
    async def acquire(self, *, blocking: Literal[True] = True, timeout: None = None) -> Permit: ...
    @overload
    async def acquire(self, *, blocking: bool = True, timeout: float | timedelta | None = None) -> Permit | None: ...
    async def acquire(self, *, blocking: bool = True, timeout: float | timedelta | None = None) -> Permit | None:
        """Take a permit; ``await permit.release()`` or ``async with permit`` gives it back.

        Callers of one client and event loop that wait are served in the order in which they came; between processes
        there is no order. Waiting costs no connection of its own: the server tells when one is given back, and a timer
        when the next one expires. Being cancelled at any moment leaves no permit behind. One that was taken when
        the connection was lost is given back as soon as the server can be reached, or expires.

        Args:
            blocking: whether to wait for one. If not, those who wait in this process have precedence.
            timeout: seconds, or a ``timedelta``, to wait at most; None waits for ever.

        Returns:
            The permit, or None if there was none (in time).

        Raises:
            ValueError: ``timeout`` is not positive, or was given without ``blocking``.
            WrongKind: the key holds something else.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server cannot be reached.

        One round trip, O(log(limit)) for each permit, shared by all who wait; while they wait, one for each look and
        each try of the first of them. Sends: EVALSHA semaphore_acquire; ZCARD while it waits.
        """
        refuse_in_atomic("acquire", "is about time that passes")
        seconds = _seconds(timeout, "blocking=False does not wait")
        if not blocking:
            if seconds is not None:
                raise ValueError("blocking=False does not wait, so it has no timeout=; drop one of them")
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
        """How many permits are free; by the time you see it, somebody else may have them.

        One round trip, O(log(limit)). Sends: EVALSHA semaphore_used.
        """
        used = await self._executor.ask_again(load_script("semaphore_used")((self.rkey,)), self)
        return max(0, self.limit - as_int(used))

    async def __aenter__(self) -> Permit:
        permit = await self.acquire()
        task = asyncio.current_task()
        self._blocks[permit] = None if task is None else weakref.ref(task)
        return permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        permit = self._leave()
        if permit is None:
            refuse_to_end(self.rkey, error)
        else:
            await permit.__aexit__(kind, error, traceback)

    def _leave(self) -> Permit | None:
        """The permit of the innermost block of this task, or else of a task that has ended."""
        here = asyncio.current_task()
        blocks = [(permit, None if task is None else task()) for permit, task in self._blocks.copy().items()]
        mine = [permit for permit, task in blocks if task is here]
        # A fixture of pytest may leave in another task than it came.
        orphaned = [permit for permit, task in blocks if has_ended(task)]
        for permit in reversed(mine or orphaned):
            if self._blocks.pop(permit, self) is not self:  # or else another task, or thread, was faster
                return permit
        return None

    def _line(self) -> PermitLine:
        return line_of(self._executor, self, self.rkey, self.limit, self._lease_us)


def _rate(rkey: str, rate: object) -> Rate:
    try:
        if isinstance(rate, str):
            return Rate.parse(rate)
    except DeclarationError as error:
        raise DeclarationError(f"{named(rkey)}: rate={error}") from None
    if isinstance(rate, Rate):
        return rate
    raise DeclarationError(f'{named(rkey)}: rate= is a str such as "10/second", or a Rate, not {shown(rate)}')


def _lease_us(rkey: str, lease: object) -> int:
    if isinstance(lease, (int, float)) and not isinstance(lease, bool) and 0 < lease <= _LONGEST.total_seconds():
        lease = timedelta(seconds=lease)
    if not isinstance(lease, timedelta) or not _SHORTEST <= lease <= _LONGEST:
        raise DeclarationError(
            f"{named(rkey)}: lease= is seconds or a timedelta, from a millisecond to ten years, not {shown(lease)}"
        )
    return lease // MICROSECOND


def _seconds(timeout: float | timedelta | None, instead: str) -> float | None:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and not seconds > 0:
        raise ValueError(f"timeout= must be positive, or None to wait for ever, not {shown(timeout)}; {instead}")
    return seconds
