"""Pages: an async iterator over what the server hands out page by page.

Values are decoded one by one when they are asked for, so a bad record is reported at its place, with
its field, and a loop that is left early has not paid for the rest of the page. There is no task and
nothing to close: a loop may simply be left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Literal, TypeAlias, TypeVar

from purse.errors import DecodeError

__all__ = ["OnError", "Pages"]

Raw = TypeVar("Raw")
T = TypeVar("T", covariant=True)

OnError: TypeAlias = Literal["raise", "skip"]


class Pages(AsyncIterator[T], Generic[Raw, T]):
    """Iterate over the items of pages.

    Args:
        fetch: returns the next page and whether another may follow.
        decode: turns one raw item into a value.
        on_error: ``"skip"`` passes over items that raise ``DecodeError``, ``"raise"`` raises it.
    """

    __slots__ = ("_decode", "_fetch", "_more", "_page", "_skip")

    def __init__(
        self,
        fetch: Callable[[], Awaitable[tuple[list[Raw], bool]]],
        decode: Callable[[Raw], T],
        on_error: OnError,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error= must be "raise" or "skip", not {on_error!r}')
        self._fetch = fetch
        self._decode = decode
        self._skip = on_error == "skip"
        self._page: list[Raw] = []  # reversed: the next item is the last
        self._more = True

    async def __anext__(self) -> T:
        while True:
            while self._page:
                raw = self._page.pop()
                try:
                    return self._decode(raw)
                except DecodeError:
                    if not self._skip:
                        raise
            if not self._more:
                raise StopAsyncIteration
            page, self._more = await self._fetch()
            page.reverse()
            self._page = page
