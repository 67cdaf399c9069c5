"""Reading a collection page by page: flat in memory, one round trip for each page, and none of them waited for twice.

    fetch page 1 -- fetch page 2 ............ -- fetch page 3 ......
                    decode and hand out 1        decode and hand out 2

The next page is requested before the current one is decoded, so the server works during the decoding. Many small
decoded objects make the cyclic garbage collector run without finding garbage, so it pauses while a page is decoded.
That saves as much time as the decoding of nested models takes. It pauses by its threshold. ``gc.disable()`` is left to
the program, because code that enables the collector again cannot know whether another thread has disabled it since.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Literal, TypeAlias, TypeVar

from purse._engine.detached import background
from purse._engine.forks import in_child
from purse.codecs._shown import shown
from purse.errors import DecodeError

__all__ = ["OnError", "check_on_error", "collector_paused", "iterate"]

Raw = TypeVar("Raw")
T = TypeVar("T")

OnError: TypeAlias = Literal["raise", "skip"]
Fetch: TypeAlias = Callable[[], Coroutine[object, None, tuple[Sequence[Raw], bool]]]


def check_on_error(on_error: OnError) -> None:
    """Refuse any other value of ``on_error``.

    Raises:
        ValueError: the message says so.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error= must be "raise" or "skip", not {shown(on_error)}')


def iterate(
    fetch: Fetch[Raw],
    decode_page: Callable[[Sequence[Raw]], list[T]],
    decode: Callable[[Raw, int], T],
    on_error: OnError,
) -> AsyncGenerator[T, None]:
    """Iterate over the items of pages.

    Args:
        fetch: returns the next page and whether another may follow.
        decode_page: turns all raw items of a page into values.
        decode: turns one raw item, and its number counted from 0, into a value. Its error names the item.
        on_error: ``"skip"`` passes over items that raise ``DecodeError``, ``"raise"`` raises it in its place.
    """
    check_on_error(on_error)
    before = 0

    def decoded(page: Sequence[Raw]) -> tuple[list[T], DecodeError | None]:
        nonlocal before
        begin, before = before, before + len(page)
        try:
            with collector_paused():
                return decode_page(page), None
        except DecodeError:
            values: list[T] = []
        for nth, raw in enumerate(page, begin):
            try:
                values.append(decode(raw, nth))
            except DecodeError as error:
                if on_error == "raise":
                    return values, error
        return values, None

    return _pages(fetch, decoded)


async def _pages(
    fetch: Fetch[Raw], decoded: Callable[[Sequence[Raw]], tuple[list[T], DecodeError | None]]
) -> AsyncGenerator[T, None]:
    following: asyncio.Task[tuple[Sequence[Raw], bool]] | None = None
    try:
        page, more = await fetch()
        while True:
            if more:
                following = background(fetch(), "next page")
                await asyncio.sleep(0)  # let it be sent now, and not only after this page
            values, error = decoded(page)
            for value in values:
                yield value
            if error is not None:
                raise error
            if following is None:
                return
            page, more = await following
            following = None
    finally:
        if following is not None and not following.cancel() and not following.cancelled():
            following.exception()  # retrieve the error of a page that is not needed


def collector_paused() -> AbstractContextManager[None]:
    """Keep the cyclic garbage collector from running during short synchronous work, in any number of threads."""
    return _pauses


class _Pauses(AbstractContextManager[None]):
    """The pauses of all threads: the first begins it, the last ends it, unless the program has set a threshold."""

    def __init__(self) -> None:
        self._count = 0
        self._usual = gc.get_threshold()
        self.renew()

    def renew(self) -> None:
        """Start anew in a forked child, where no other thread holds the lock or pauses."""
        self._lock = threading.RLock()  # no ThreadLock, which costs more than all the rest
        if self._count:
            self._count = 1
            self.__exit__()

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1
            now = gc.get_threshold()
            if now[0] != _NEVER:
                self._usual = now
                gc.set_threshold(_NEVER, *now[1:])

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._count = max(0, self._count - 1)  # the thread that forked in a pause has it ended by ``renew``
            if not self._count and gc.get_threshold()[0] == _NEVER:
                gc.set_threshold(*self._usual)


_NEVER = 2**31 - 8_191  # new objects before the collector runs, a number that other code will not choose
_pauses = _Pauses()
in_child(_pauses.renew)
