"""Claims: which store class has which namespace. Two unrelated classes in one would read each other's keys.

A class that is written in the same place again, by a reload or a notebook's cell, takes over; so may a subclass.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING

from purse._templates import Template, can_meet
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from purse._metaclass import StoreBase
    from purse._templates import Kind

__all__ = ["claim"]

# Weak: a class that is gone has given its namespace back.
_claims: weakref.WeakValueDictionary[str, type[StoreBase]] = weakref.WeakValueDictionary()


def claim(cls: type[StoreBase], template: Template) -> None:
    """Take a namespace, or all that a template can give, for ``cls``.

    Raises:
        DeclarationError: another class has it, or one that its template can give.
    """
    if any(_in_the_way(cls, template)):
        gc.collect()  # classes are reference cycles: the holder may be gone, and only look alive
    for holder in _in_the_way(cls, template):
        theirs = holder.__purse__.defaults.namespace
        same = theirs == template.text
        raise DeclarationError(
            f'namespace="{template.text}" of {_full_name(cls)} '
            + (
                f"is already the namespace of {_full_name(holder)}"
                if same
                else f'can give the same keys as "{theirs}" of {_full_name(holder)}'
            )
            + f"; give one of them another, or inherit it: class {cls.__name__}({holder.__name__})"
        )
    held = _claims.get(template.text)
    if held is None or not issubclass(cls, held):
        _claims[template.text] = cls


def _in_the_way(cls: type[StoreBase], template: Template) -> Iterator[type[StoreBase]]:
    if template.parameters:
        others = list(_claims.items())
    else:
        others = [item for item in _claims.items() if item[0] == template.text or "{" in item[0]]
    for text, holder in others:
        if issubclass(cls, holder) or issubclass(holder, cls) or _home(holder) == _home(cls):
            continue
        if text == template.text or can_meet(template, _kinds(cls), Template(text), _kinds(holder)):
            yield holder


def _kinds(cls: type[StoreBase]) -> Mapping[str, Kind]:
    return {name: parameter.kind for name, parameter in cls.__purse__.parameters.items()}


def _home(cls: type[StoreBase]) -> tuple[str, str]:
    """Where the class is written. A script is ``__main__``, and another module when it is imported as well."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return (file or cls.__module__, cls.__qualname__)


def _full_name(cls: type[StoreBase]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
