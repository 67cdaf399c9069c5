"""The table that a ``StoreDescription`` is as a text, for a shell or a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from purse.codecs._shown import named

if TYPE_CHECKING:
    from purse.inspect._describe import FieldDescription

__all__ = ["table"]

_HEAD = ("field", "structure", "key", "holds", "length", "memory", "expires in", "encoding")
_TO_THE_RIGHT = frozenset({"length", "memory", "expires in"})


def table(store: str, fields: Iterable[FieldDescription]) -> str:
    """A line for each field, under the name of the store's class."""
    rows = [_HEAD, *map(_row, fields)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(_justified(*cell) for cell in zip(row, widths, _HEAD, strict=True)).rstrip() for row in rows)
    return "\n".join((store, *lines))


def _justified(text: str, width: int, column: str) -> str:
    return text.rjust(width) if column in _TO_THE_RIGHT else text.ljust(width)


def _row(field: FieldDescription) -> tuple[str, ...]:
    return (
        field.name,
        field.structure,
        named(field.key),
        _held(field),
        "" if field.length is None else f"{'' if field.exact else '~'}{field.length}",
        "" if field.memory is None else _bytes(field.memory),
        "" if field.expires_in is None else str(timedelta(seconds=round(field.expires_in.total_seconds()))),
        field.encoding or "",
    )


def _held(field: FieldDescription) -> str:
    if field.exists is None:
        return "?"
    if not field.exists:
        return "nothing"
    if field.fits is False:
        return f"{field.stored}, not a {field.declared}"
    return field.stored or field.declared


def _bytes(number: int) -> str:
    size, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
