"""Words for what is wrong with a value, and the setting that keeps values out of them."""

from __future__ import annotations

from typing import get_args

from pydantic import ValidationError

__all__ = ["cause", "clipped", "hide_values", "invalid", "name_of", "reason", "short", "shown", "wrong_type"]

_hidden = False


def hide_values(hide: bool = True) -> None:
    """Keep values out of error messages and tracebacks, because what is stored may be personal.

    For the whole process. The causes of codec errors are dropped as well: pydantic's show their input.
    ``DecodeError.raw`` still carries the bytes.
    """
    global _hidden
    _hidden = hide


def shown(raw: bytes) -> str:
    """Stored bytes for a message: at most 200 of them, or none if values are hidden."""
    if _hidden:
        return f"<{len(raw)} bytes, hidden>"
    return repr(raw) if len(raw) <= 200 else f"{raw[:200]!r}... ({len(raw)} bytes)"


def wrong_type(value: object, plain: type[object], declared: str) -> str:
    given = type(value)
    if issubclass(given, plain) and given is not plain and plain not in (int, str, bytes):
        return (
            f"{given.__name__} is a subclass of {declared}, and what it adds would be lost: "
            f"declare {declared} | {given.__name__}, or store a {declared}."
        )
    hint = ""
    if issubclass(given, plain):
        hint = f" (a subclass; pass {plain.__name__}(value))"
    elif value is None:
        hint = f" (to allow it, declare {declared} | None)"
    got = "None" if value is None else f"{given.__name__} {short(value)}"
    return f"expected {declared}, got {got}{hint}."


def invalid(error: Exception, value_type: object) -> str:
    return f"does not hold a valid {name_of(value_type)}: {reason(error)}"


def reason(error: Exception) -> str:
    """The first thing that pydantic found, as ``beds.2.name: Input should be a valid string.``"""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        # Messages of the user's own validators may quote the input.
        what = (
            "a value is not valid" if _hidden and first["type"] in ("value_error", "assertion_error") else first["msg"]
        )
        return f"{place}: {what}." if place else f"{what}."
    return f"{clipped(str(error) or type(error).__name__)}."


def short(value: object) -> str:
    if _hidden:
        return f"a {name_of(type(value))}"
    try:
        return clipped(repr(value))
    except Exception:  # a __repr__ of the user's
        return f"a {name_of(type(value))}"


def clipped(text: str) -> str:
    if _hidden:
        return "(hidden)"
    return text if len(text) <= 80 else f"{text[:77]}..."


def cause(error: Exception) -> Exception | None:
    return None if _hidden else error


def name_of(value_type: object) -> str:
    """A type as one writes it: ``Plant``, ``dict[str, int]``, ``int | None``."""
    if isinstance(value_type, type) and not get_args(value_type):
        return value_type.__name__
    return repr(value_type).replace("typing.", "").replace("NoneType", "None")
