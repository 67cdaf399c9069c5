"""Names: the names that annotations of a class can use, looked up as Python would do it in the class body.

First in the body, then in the function around it (as it was at the class statement), in the module (as it is now) and
in the builtins.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import ForwardRef, get_args

__all__ = ["Missing", "Names", "local_names"]


class Missing:
    """Stands for a name that does not exist yet. Every operation on it returns it again."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __getattr__(self, name: str) -> Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, item: object) -> Missing:
        return self

    def __or__(self, other: object) -> Missing:
        return self

    def __ror__(self, other: object) -> Missing:
        return self

    def __call__(self, *args: object, **kwargs: object) -> Missing:
        return self


class Names(Mapping[str, object]):
    """The names an annotation can use: those of ``scopes``, the first scope first, and the builtins.

    Args:
        lenient: a missing name is a ``Missing`` instead of a ``KeyError``.
    """

    def __init__(self, *scopes: Mapping[str, object], lenient: bool = False) -> None:
        self._scopes = scopes
        self.lenient = lenient

    def leniently(self) -> Names:
        """The same names, and a ``Missing`` for every other name."""
        return Names(*self._scopes, lenient=True)

    def __getitem__(self, name: str) -> object:
        for scope in self._all():
            if name in scope:
                return scope[name]
        if self.lenient:
            return Missing(name)
        raise KeyError(name)

    # Python 3.14 evaluates forward references with a copy of the names that it is given.
    def __iter__(self) -> Iterator[str]:
        return iter({name: None for scope in self._all() for name in scope})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _all(self) -> tuple[Mapping[str, object], ...]:
        return (*self._scopes, vars(builtins))


def local_names(frame: FrameType | None, raw: Mapping[str, object]) -> dict[str, object]:
    """The local variables around a class statement that its annotations mention.

    Returns values, not the frame, so neither the frame nor its other variables are kept alive.
    """
    found: dict[str, object] = {}
    wanted = {name for annotation in raw.values() for name in _mentioned(annotation)}
    while wanted and frame is not None and frame.f_locals is not frame.f_globals:
        scope = frame.f_locals
        for name in wanted.intersection(scope):  # f_locals is a proxy since Python 3.13
            found.setdefault(name, scope[name])
        if "__qualname__" not in scope:  # a function: Python's own scopes end there too
            break
        frame = frame.f_back
    return found


def _mentioned(annotation: object) -> Iterator[str]:
    """The names in the strings and forward references inside ``annotation``."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            code = compile(annotation.strip(), "<annotation>", "eval")
        except (SyntaxError, ValueError):
            return  # a string in Literal, or an error that its evaluation will report
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, str):  # "RedisHash['Plant']"
                yield from _mentioned(constant)
    for part in get_args(annotation):
        yield from _mentioned(part)
