"""Outbox: the requests of a shared link that wait to be sent, and the bytes of each.

    payloads   [GET a] [HSET b ...] [MULTI ... EXEC]     the bytes to write
    requests   A       B            (C, 4)               for each, the future of its caller (and 4 replies)

Requests that are cancelled while they wait are dropped and never sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import accumulate, compress, islice
from operator import not_
from typing import TypeAlias

from purse._engine.replies import Reply

__all__ = ["OUTBOX", "Future", "Loose", "Outbox", "Request", "future_of"]

OUTBOX = 4 * 2**20
"""Bytes of requests that may wait to be sent. A single larger request is let through alone."""

_CHUNK = 256 * 2**10  # bytes joined into one write: after each, the socket shows whether it takes more
_CROWDED = 128  # up to this number of requests the outbox is never swept

Future: TypeAlias = asyncio.Future[list[Reply]]

Request: TypeAlias = "Future | tuple[Future, int]"
"""The future of a caller, and how many replies it waits for. For a single reply it is the bare future: with a thousand
calls in flight, the garbage collector visits each further object again and again."""


class Loose(tuple[Future, int]):
    """A request of one or more commands that are not a transaction."""

    __slots__ = ()


def future_of(request: Request) -> Future:
    """The future of the caller that waits for ``request``."""
    return request[0] if isinstance(request, tuple) else request


class Outbox:
    """The requests that wait, in their order.

    Attributes:
        payloads, requests: two lists of the same length. A link appends to both directly, which saves a call.
        size: bytes of all payloads.
    """

    __slots__ = ("_crowded", "payloads", "requests", "size")

    def __init__(self) -> None:
        self._crowded = _CROWDED  # requests at which it is swept
        self.payloads: list[bytes] = []
        self.requests: list[Request] = []
        self.size: int = 0

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self.requests)

    @property
    def is_crowded(self) -> bool:
        """Whether to sweep it now, because cancelled requests stay in it until then."""
        return len(self.requests) >= self._crowded

    def put_first(self, payload: bytes, request: Request) -> None:
        """Put ``request`` in front of all others."""
        self.requests.insert(0, request)
        self.payloads.insert(0, payload)
        self.size += len(payload)

    def take(self, most: int, into: deque[Request], drop: Callable[[Future], None]) -> list[bytes]:
        """Move the next chunk, at most ``most`` requests, to the end of ``into``.

        Args:
            drop: called with the future of each request that was cancelled.

        Returns:
            The payloads of the chunk, to be transmitted.
        """
        payloads, requests = self.payloads, self.requests
        later: tuple[list[bytes], list[Request], int] | None = None
        if self.size > _CHUNK or len(requests) > most:  # not all of it
            sizes = accumulate(map(len, islice(payloads, most)))
            count, size = next(((n, size) for n, size in enumerate(sizes, 1) if size >= _CHUNK), (most, 0))
            later = payloads[count:], requests[count:], self.size - (size or sum(map(len, payloads[:count])))
            payloads, requests = payloads[:count], requests[:count]
        # A loop, not any(...): it runs for every request.
        for request in requests:
            if (request[0] if isinstance(request, tuple) else request).cancelled():
                kept = _drop_cancelled(requests, drop)
                payloads, requests = [*compress(payloads, kept)], [*compress(requests, kept)]
                break
        into += requests  # before they leave the outbox, so that an abort finds each of them
        self.payloads, self.requests, self.size = later or ([], [], 0)
        return payloads

    def sweep(self, drop: Callable[[Future], None]) -> None:
        """Drop requests that were cancelled while nothing could be sent. See ``take``."""
        self.keep(_drop_cancelled(self.requests, drop))
        self._crowded = max(_CROWDED, 2 * len(self.requests))

    def keep(self, kept: list[bool]) -> None:
        """Remove all requests for which ``kept`` is False."""
        self.payloads, self.requests = [*compress(self.payloads, kept)], [*compress(self.requests, kept)]
        self.size = sum(map(len, self.payloads))

    def clear(self) -> None:
        """Remove all requests."""
        self.requests.clear()
        self.payloads.clear()
        self.size = 0


def _drop_cancelled(requests: list[Request], drop: Callable[[Future], None]) -> list[bool]:
    """Call ``drop`` for those of ``requests`` that were cancelled. Returns for each whether it stays."""
    kept = [not future_of(request).cancelled() for request in requests]
    for request in compress(requests, map(not_, kept)):
        drop(future_of(request))
    return kept
