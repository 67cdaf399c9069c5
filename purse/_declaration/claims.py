"""Claims: which store class has which namespace. Two unrelated classes in one namespace would share keys.

If a class is defined in the same place again, by a reload or a notebook's cell, it takes over the namespace. A subclass
may do so too.

    class Garden(Store, namespace="garden")           claims the namespace
    class Other(Store, namespace="garden")            refused
    class Orchard(Garden), class Kitchen(Garden)      share the namespace with Garden: they are *relatives*

Relatives share the fields that both inherit, and those that a subclass declares again. Any two other fields of
relatives that would share a key are refused, as in one class.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING

from purse._declaration.annotations import Unresolved
from purse._declaration.reach import Meeting, meetings, reaches
from purse._declaration.templates import Template, can_meet
from purse._engine.forks import ThreadLock
from purse.codecs._type_caches import collect_types
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from purse._declaration.declared import StoreBase
    from purse._declaration.reach import Spec
    from purse._declaration.templates import Kind

__all__ = ["compare", "kinds_of", "meeting_text", "settle"]

# Weak, so that the namespace of a deleted class is free again. Weak references in plain containers, because a weak
# container changes during a loop over it, when the garbage collector runs in another thread.
_claims: dict[str, weakref.ref[type[StoreBase]]] = {}
_families: weakref.WeakKeyDictionary[type[object], list[weakref.ref[type[StoreBase]]]] = weakref.WeakKeyDictionary()
"""For each class with a namespace: that class and its subclasses, except those that were refused."""
_lock = ThreadLock()
"""Held while they are read or changed, because several threads may define classes."""


def settle(cls: type[StoreBase], template: Template | None) -> None:
    """``compare`` a class, take its namespace, and remember it for relatives that are defined later.

    All in one step: if two threads define two classes that exclude each other, one class is refused.

    Args:
        template: the namespace, or None if the class inherits its namespace or has none.

    Raises:
        DeclarationError: a relative has a key of ``cls``, or another class has this namespace, or one that the same
            template can give.
    """
    with _lock:
        compare(cls)
        if template is not None:
            _claim(cls, template)
        for base in _bound_bases(cls):
            family = [relative for relative in _families.get(base, ()) if relative() is not None]
            _families[base] = [*family, weakref.ref(cls)]


def _claim(cls: type[StoreBase], template: Template) -> None:
    """Take a namespace, or all namespaces that a template can give, for ``cls``."""
    if any(_in_the_way(cls, template)):
        collect_types()  # the holder may be deleted, and not yet collected
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
            + f": give one of them another, or inherit it: class {cls.__name__}({holder.__name__})"
        )
    held = _claims.get(template.text)
    former = None if held is None else held()
    if former is None or not issubclass(cls, former):
        _claims[template.text] = weakref.ref(cls)


def compare(cls: type[StoreBase]) -> None:
    """Compare the fields of ``cls`` with those of its relatives: bases, subclasses and siblings in one namespace.

    Raises:
        DeclarationError: a field has the same key as another field of a relative.
    """
    with _lock:
        if any(_collisions(cls)):
            collect_types()  # as in _claim()
        for meeting in _collisions(cls):
            raise DeclarationError(meeting_text(meeting))


def meeting_text(meeting: Meeting) -> str:
    """The message for two fields that have a key in common: what is wrong, and what to write."""
    one, other, key, begin = meeting
    if begin is not None:
        what = f"{one} has the Redis key {key!r}, and all keys that begin with {begin!r} belong to {other}"
    elif one.path == other.path:
        return (
            f"{one} and {other} have the same Redis key {key!r} and hold different types: give one of the classes a "
            f'namespace: class {one.owner.__name__}(..., namespace="...")'
        )
    else:
        what = f"{one} and {other} have the same Redis key {key!r}"
    return f"{what}: give one of them another key= or rkey="


def kinds_of(cls: type[StoreBase]) -> Mapping[str, Kind] | None:
    """The types of the parameters, or None if they are not known yet."""
    template, parameters = cls.__purse__.template, cls.__purse__.parameters
    if template is not None and len(parameters) < len(template.parameters):
        return None
    return {name: parameter.kind for name, parameter in parameters.items()}


def _collisions(cls: type[StoreBase]) -> Iterator[Meeting]:
    template = cls.__purse__.template
    if template is None:
        return
    mine = reaches(_named_by_us(cls), template, None)
    for relative in _relatives(cls, template):
        # Both in the namespace of cls: a key that they can share has the same tail in each of their namespaces.
        for meeting in meetings(mine, reaches(_named_by_us(relative), template, None)):
            if not _is_one_field(cls, relative, meeting):
                yield meeting


def _named_by_us(cls: type[StoreBase]) -> list[Spec]:
    return [spec for spec in cls.__purse__.fields.values() if spec.rkey is None]  # users may share an rkey=


def _relatives(cls: type[StoreBase], template: Template) -> Iterator[type[StoreBase]]:
    found = {relative() for base in _bound_bases(cls) for relative in _families.get(base, ())}
    for other in found:
        if other is None:
            continue
        theirs = other.__purse__.template
        if theirs is None or _home(other) == _home(cls):
            continue
        if theirs == template or _can_meet(cls, template, other, theirs):
            yield other


def _bound_bases(cls: type[StoreBase]) -> Iterator[type[object]]:
    """The class and its bases that have a namespace. Classes without a common one are compared in ``_claim``."""
    for base in cls.__mro__:
        declaration = getattr(base, "__purse__", None)
        if declaration is not None and declaration.template is not None:
            yield base


def _is_one_field(cls: type[StoreBase], relative: type[StoreBase], meeting: Meeting) -> bool:
    """Whether both classes mean the same field: inherited, or declared again by a subclass."""
    one, other, _, begin = meeting
    if begin is not None or one.path != other.path:
        return False
    return issubclass(cls, relative) or issubclass(relative, cls) or _hold_the_same(one, other)


def _hold_the_same(one: Spec, other: Spec) -> bool:
    if getattr(one.owner, "__parameters__", ()) or getattr(other.owner, "__parameters__", ()):
        return True  # it has no instances, and its subclasses are compared when they are defined
    try:
        return (one.collection, one.value_type, one.key_type) == (other.collection, other.value_type, other.key_type)
    except Unresolved:
        return True  # compared again when the class is complete


def _in_the_way(cls: type[StoreBase], template: Template) -> Iterator[type[StoreBase]]:
    for text, held in _claims.copy().items():
        holder = held()
        if holder is None:
            _claims.pop(text, None)
            continue
        if not template.parameters and text != template.text and "{" not in text:
            continue
        if issubclass(cls, holder) or issubclass(holder, cls) or _home(holder) == _home(cls):
            continue
        if text == template.text or _can_meet(cls, template, holder, Template(text)):
            yield holder


def _can_meet(cls: type[StoreBase], template: Template, other: type[StoreBase], theirs: Template) -> bool:
    return can_meet(template, kinds_of(cls) or {}, theirs, kinds_of(other) or {})


def _home(cls: type[StoreBase]) -> tuple[str, str]:
    """The place of the class definition. A script is ``__main__``, and another module if it is also imported."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return (file or cls.__module__, cls.__qualname__)


def _full_name(cls: type[StoreBase]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
