"""Evaluating: turns an annotation that is text, or a forward reference, into an object, once.

    "RedisHash[Plant]"      strictly: RedisHash[Plant], or NameIsMissing while Plant does not exist
                            leniently: RedisHash[a Missing], which is enough to know that it is a hash

The strict evaluation is repeated only when the missing name exists. The lenient evaluation takes place only if the
strict one failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ForwardRef, cast

from typing_extensions import Format

if TYPE_CHECKING:
    from purse._declaration.names import Names

__all__ = ["NameIsMissing", "NotEvaluated", "Written"]

_NOTHING = object()


class NameIsMissing(Exception):
    """A name in an annotation does not exist (yet).

    Attributes:
        name: the name, or the attribute.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class NotEvaluated(Exception):
    """An annotation is wrong, and no name can change that. ``__cause__`` is the error of its evaluation.

    Attributes:
        written: the text, which may be inside of another text.
    """

    def __init__(self, written: str | ForwardRef) -> None:
        super().__init__(written)
        self.written = written


class Written:
    """An annotation as it is written, shared by all classes that inherit it.

    Args:
        raw: the annotation as Python has it: an object, a string, a ``ForwardRef``.
        names: the names it is evaluated with.
    """

    def __init__(self, raw: object, names: Names) -> None:
        self.raw = raw
        self.names = names
        self._value: object = _NOTHING
        self._glimpse: object = _NOTHING
        # Not the error, which would keep frames alive: the name, and the object that has no such attribute.
        self._missing: tuple[str, object] | None = None

    def value(self) -> object:
        """The annotation as an object. Forward references inside of it are not evaluated.

        Raises:
            NameIsMissing: a name, or an attribute, does not exist.
            NotEvaluated: the text is wrong.
        """
        if self._value is _NOTHING:
            if self._missing is not None and self._is_still_missing(*self._missing):
                raise NameIsMissing(self._missing[0])
            try:
                self._value = _evaluated(self.raw, self.names)
            except (NameError, AttributeError) as error:
                self._glimpse = _NOTHING
                self._missing = str(error.name), getattr(error, "obj", _NOTHING)
                raise NameIsMissing(self._missing[0]) from None
        return self._value

    def glimpse(self) -> object:
        """``value()``, or while a name is missing, the annotation with a ``Missing`` in its place."""
        try:
            return self.value()
        except NameIsMissing:
            if self._glimpse is _NOTHING:
                self._glimpse = _evaluated(self.raw, self.names.leniently())
            return self._glimpse

    def _is_still_missing(self, name: str, of: object) -> bool:
        if hasattr(self.raw, "evaluate"):  # a reference of Python 3.14, which knows names that are not in ``names``
            return False
        return name not in self.names if of is _NOTHING else not hasattr(of, name)


def _evaluated(raw: object, names: Names) -> object:
    value = raw
    while isinstance(value, (str, ForwardRef)):
        written = value
        try:
            value = _evaluated_once(written, names)
        except (NameError, AttributeError):
            raise
        except Exception as error:
            raise NotEvaluated(written) from error
        if isinstance(value, ForwardRef) and names.lenient:
            break
    return value


def _evaluated_once(annotation: str | ForwardRef, names: Names) -> object:
    """The value of a string or a forward reference. If names may be missing, parts of it may stay open."""
    evaluate = cast("Callable[..., object] | None", getattr(annotation, "evaluate", None))
    if evaluate is not None:  # Python 3.14: the reference knows names that are not in ``names``
        return evaluate(globals={}, locals=names, format=Format.FORWARDREF if names.lenient else Format.VALUE)
    text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
    return eval(text.strip(), {}, names)
