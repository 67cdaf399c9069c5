"""Showing: how anything that came from outside stands in a message, a note, a log line or a repr.

A key, a field, a value, a reply and the words of a server may be of any length, hold line ends that forge lines of a
log and escape sequences that a terminal obeys, and be personal. So whatever is not written in the program itself goes
through this module on its way into a text:

    shown(value)      data: a repr                          hidden by ``hide_values()``
    quoted(name)      a key or a field, as a repr           never hidden: it says where something happened
    named(name)       the same without quotes               never hidden
    said(words)       the words of somebody else: a server, redis-py, a validator

Each is at most a few hundred characters of printable text, on one line. It costs about as much for a value of ten
megabytes as for a small one. Nothing here runs while all is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar, cast

__all__ = ["evidence", "hide_values", "is_hidden", "named", "place", "quoted", "said", "shown", "tidied"]

E = TypeVar("E", bound=Exception)

_MOST = 200  # characters, or bytes, of one thing
_WORDS = 500  # characters of what somebody else says
_DEPTH = 20  # containers inside each other
_ARGUMENTS = ", with args beginning with:"  # from here on a server repeats what it was sent

_hidden = False


def hide_values(hide: bool = True) -> None:
    """Keep stored data out of every error message, for values that must not reach a log.

    From now on, in the whole process, messages and log lines of purse hold no part of a value: not of one that was
    stored or is to be stored, not of a server's reply, and not of an argument that was refused. Pydantic's own error is
    no longer the ``__cause__`` of an ``EncodeError`` or ``DecodeError``, because a traceback would print the input
    it quotes. ``DecodeError.raw`` still has the stored bytes: they are data for your code, not text.

    Redis keys and the fields of a hash are shown: they say where something happened.

    Args:
        hide: False shows values again, as at the start.
    """
    global _hidden
    _hidden = hide


def is_hidden() -> bool:
    """Whether values are hidden."""
    return _hidden


def evidence(error: E | None) -> E | None:
    """``error`` as a ``__cause__``, or None while values are hidden: its traceback would print them."""
    return None if _hidden else error


def shown(value: object, most: int | None = _MOST) -> str:
    """A value: its repr, of at most about ``most`` characters, or all of it if that is None.

    While values are hidden, ``<hidden>`` for bytes and the name of the type for anything else.
    """
    if _hidden:
        return "<hidden>" if isinstance(value, bytes) else type(value).__name__
    return quoted(value, most)


def quoted(name: object, most: int | None = _MOST) -> str:
    """A key or a field: its repr, of at most about ``most`` characters. Never hidden."""
    if isinstance(name, (str, bytes)):
        if most is None or len(name) <= most:
            return _printable(repr(name))
        unit = "bytes" if isinstance(name, bytes) else "characters"
        return f"{_printable(repr(name[:most]))}... ({len(name)} {unit})"
    text = ""
    for piece in _pieces(name):
        text += piece
        if most is not None and len(text) > most:
            return _printable(f"{text[: most - 3]}...")
    return _printable(text)


def named(name: str) -> str:
    """A key, without quotes. Never hidden."""
    return _printable(name) if len(name) <= _MOST else f"{_printable(name[:_MOST])}... ({len(name)} characters)"


def place(key: str, field: object = None) -> str:
    """Where something happened: ``{garden}:plants['bed']``. Never hidden."""
    return named(key) if field is None else f"{named(key)}[{quoted(field)}]"


def said(words: object, most: int = _WORDS) -> str:
    """What somebody else says, an exception for instance, on one line and without the arguments that it repeats."""
    text = str(words).partition(_ARGUMENTS)[0]
    return _printable(text) if len(text) <= most else f"{_printable(text[: most - 3])}..."


def tidied(error: E) -> E:
    """``error``, an answer of a server, with its words as ``said`` shows them."""
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (said(error.args[0]),)
    return error


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _is_redis_pys(kind: type[object]) -> bool:
    """Whether redis-py has written the repr of this class."""
    return str(getattr(kind.__repr__, "__module__", "")).partition(".")[0] == "redis"


def _pieces(value: object, depth: int = 0) -> Iterator[str]:
    """The repr of a value, piece by piece, so that a large one is never made as a whole."""
    kind = type(value)
    if depth > _DEPTH:
        yield "..."
    elif kind in (list, tuple, set, frozenset) and value:
        yield {list: "[", tuple: "(", set: "{", frozenset: "frozenset({"}[kind]
        items = cast("list[object]", value)
        for nth, item in enumerate(items):
            if nth:
                yield ", "
            yield from _pieces(item, depth + 1)
        yield {list: "]", tuple: ",)" if len(items) == 1 else ")", set: "}", frozenset: "})"}[kind]
    elif kind is dict and value:
        yield "{"
        for nth, (key, item) in enumerate(cast("dict[object, object]", value).items()):
            yield ", " if nth else ""
            yield from _pieces(key, depth + 1)
            yield ": "
            yield from _pieces(item, depth + 1)
        yield "}"
    elif isinstance(value, (str, bytes)) and len(value) > _MOST and kind in (str, bytes):
        yield f"{value[:_MOST]!r}..."
    elif _is_redis_pys(kind):
        yield f"<{kind.__name__}>"  # a client's repr has its address, and in some versions the password
    else:
        try:
            yield repr(value)
        except Exception:  # a repr of the user's, on a value that may be broken
            yield f"<{kind.__name__}>"
