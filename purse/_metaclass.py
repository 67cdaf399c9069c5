"""StoreMeta: reads a ``Store`` class body and refuses a wrong one before anything is sent.

    class Garden(Store, namespace="garden"):        Garden.__purse__ = Declaration
        plants: RedisHash[Plant]                        own     {plants, visits}
        visits: RedisHash[int] = field(...)             fields  {plants, visits} and what the bases have

A class without a namespace, its own or inherited, is a mixin: its fields have no keys until a subclass has
one. Type checkers never see the metaclass: they would ignore misspelt class keywords, and infer Any for
instances. They see a plain base class that lists the keywords.
"""

from __future__ import annotations

import contextlib
import difflib
import gc
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, cast, get_origin

from typing_extensions import Format, get_annotations

from purse._annotations import Annotation, Names, Unresolved, local_names, shown_type
from purse._engine.modes import check_engine
from purse._fields import FieldOptions, FieldSpec, StoreDefaults, check_options, check_store_codec, check_ttl
from purse._keys import check_name
from purse.collections import RedisCollection
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from types import FrameType

    from purse._engine.modes import Engine
    from purse.codecs import CodecFactory
    from purse.ttl import TTL

__all__ = ["Declaration", "StoreBase", "StoreMeta", "complete", "declaration_of"]

Fields: TypeAlias = Mapping[str, FieldSpec[RedisCollection]]

_KEYWORDS = ("namespace", "ttl", "codec", "engine", "slots")

# Weak: a class that is gone has given its namespace back.
_claims: weakref.WeakValueDictionary[str, type[StoreBase]] = weakref.WeakValueDictionary()


@dataclass(slots=True)
class Declaration:
    """What a store class declares.

    Attributes:
        defaults: namespace, TTL and codec, its own or inherited.
        own: the fields of its own body.
        fields: all fields in the order of declaration, those of the bases first.
        complete: every annotation was resolved and found good.
    """

    defaults: StoreDefaults
    own: Fields = field(default_factory=dict[str, FieldSpec[RedisCollection]])
    fields: Fields = field(default_factory=dict[str, FieldSpec[RedisCollection]])
    complete: bool = False


class StoreMeta(type):
    """The metaclass of ``Store``."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], body: dict[str, object], /, **keywords: object
    ) -> type[StoreBase]:
        own = {keyword: keywords.pop(keyword) for keyword in _KEYWORDS if keyword in keywords}
        _check_keywords(name, bases, keywords)
        # Typed as what it is to checkers, where StoreBase is a plain class.
        cls = cast("type[StoreBase]", super().__new__(mcls, name, bases, body, **keywords))
        cls.__purse__ = declaration = Declaration(_defaults(cls, own))
        # Not inspect.currentframe(): a frame in a variable of its own is a cycle, which would keep the definer's.
        definer = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        declaration.own = _own_fields(cls, body, definer)
        declaration.fields = _all_fields(cls, body)
        _check_keys(cls)
        for spec in declaration.fields.values():
            with contextlib.suppress(Unresolved):  # complete() says so when the class is used
                spec.check()
        if own.get("namespace") is not None:
            _claim(cls, cast("str", declaration.defaults.namespace))
        for field_name, spec in declaration.fields.items():
            setattr(cls, field_name, spec)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, object], /, **keywords: object) -> None:
        super().__init__(name, bases, body)


def declaration_of(cls: type[StoreBase]) -> Declaration:
    """What ``cls`` declares."""
    return cls.__purse__


def complete(cls: type[StoreBase]) -> None:
    """Resolve what was not defined yet when the class was; the first instance needs all of it.

    Raises:
        DeclarationError: a name is still missing, or what it stands for cannot be stored.
    """
    declaration = cls.__purse__
    if not declaration.complete:
        for spec in declaration.fields.values():
            try:
                spec.check()
            except Unresolved as error:
                raise DeclarationError(str(error)) from error.__cause__
        _check_keys(cls)  # which fields are key spaces may be known only now
        declaration.complete = True


def _check_keywords(name: str, bases: tuple[type, ...], unknown: Mapping[str, object]) -> None:
    for keyword in unknown:
        close = difflib.get_close_matches(keyword, _KEYWORDS, 1)
        if close:
            raise DeclarationError(f"{name}: unknown class keyword {keyword}=: did you mean {close[0]}=?")
        # Someone's own __init_subclass__ may take it; object's takes none.
        if all("__init_subclass__" not in vars(cls) for base in bases for cls in base.__mro__[:-1]):
            raise DeclarationError(f"{name}: unknown class keyword {keyword}=; a Store takes {'=, '.join(_KEYWORDS)}=")


def _defaults(cls: type[StoreBase], own: Mapping[str, object]) -> StoreDefaults:
    """The class keywords, and for those not given what the bases have, the first base first."""
    where = cls.__name__
    namespace, ttl, codec, engine, slots = (own.get(keyword) for keyword in _KEYWORDS)
    if "namespace" in own and namespace is not None:
        namespace = check_name(namespace, where, "namespace", where.lower())
    check_ttl(ttl, where)
    check_store_codec(codec, where)
    if engine is not None:
        _check_engine(engine, where)
    if slots not in (None, "store", "field"):
        raise DeclarationError(f'{where}: slots= is "store" (the default) or "field", not {slots!r}')
    inherited = [(base, base.__purse__.defaults) for base in _bases(cls)]
    if namespace is None:
        named = {defaults.namespace: base for base, defaults in reversed(inherited) if defaults.namespace is not None}
        if len(named) > 1:
            found = " and ".join(f'"{space}" ({base.__name__})' for space, base in named.items())
            raise DeclarationError(
                f"{where}: inherits the namespaces {found}; give it one of its own: class {where}(..., namespace=...)"
            )
        namespace = next(iter(named), None)
    if ttl is None and "ttl" not in own:
        ttl = next((defaults.ttl for _, defaults in inherited if defaults.ttl is not None), None)
    if codec is None and "codec" not in own:
        codec = next((defaults.codec for _, defaults in inherited if defaults.codec is not None), None)
    if engine is None and "engine" not in own:
        engine = next((defaults.engine for _, defaults in inherited if defaults.engine is not None), None)
    if slots is None:
        slots = next((defaults.slots for _, defaults in inherited if defaults.slots != "store"), "store")
    return StoreDefaults(
        cast("str | None", namespace),
        cast("TTL | None", ttl),
        cast("CodecFactory | None", codec),
        cast("Engine | None", engine),
        cast("Literal['store', 'field']", slots),
    )


def _check_engine(engine: object, where: str) -> None:
    try:
        check_engine(engine)
    except ValueError as error:
        raise DeclarationError(f"{where}: {error}") from None


def _bases(cls: type[StoreBase]) -> list[type[StoreBase]]:
    """The store classes that ``cls`` inherits from, the nearest first."""
    return cast("list[type[StoreBase]]", [base for base in cls.__mro__[1:] if isinstance(base, StoreMeta)])


def _own_fields(cls: type[StoreBase], body: Mapping[str, object], frame: FrameType | None) -> Fields:
    raw = cast("dict[str, object]", get_annotations(cls, format=Format.FORWARDREF))
    _check_unannotated(cls, body, raw)
    visible = {name: value for name, value in body.items() if not isinstance(value, FieldOptions)}
    names = Names(visible, local_names(frame, raw), _module_names(cls, frame))
    found: dict[str, FieldSpec[RedisCollection]] = {}
    for name, written in raw.items():
        where = f"{cls.__name__}.{name}"
        annotation = Annotation(where, written, names)
        options = body.get(name, FieldOptions())
        if name.startswith("_") or annotation.is_constant():
            if name in body and isinstance(options, FieldOptions):
                why = "a name with an underscore in front" if name.startswith("_") else "a ClassVar"
                raise DeclarationError(f"{where}: {why} is not a field; rename it, or drop field()")
            continue
        if not isinstance(options, FieldOptions):
            raise DeclarationError(
                f"{where}: a field has no value in the class, but = {options!r} gives it one; write "
                f"{name}: {annotation} or {name}: {annotation} = field(...), or ClassVar[...] if it is not stored"
            )
        _check_name_is_free(cls, name)
        found[name] = FieldSpec(cls, name, annotation, check_options(options, where, name), cls.__purse__.defaults)
    return found


def _module_names(cls: type[StoreBase], frame: FrameType | None) -> Mapping[str, object]:
    """The dict of the class's module: not a copy, it grows while the module is executed."""
    if frame is not None and frame.f_globals.get("__name__") == cls.__module__:
        return frame.f_globals
    module = sys.modules.get(cls.__module__)  # not made by a class statement, e.g. by types.new_class
    return {} if module is None else vars(module)


def _check_unannotated(cls: type[StoreBase], body: Mapping[str, object], raw: Mapping[str, object]) -> None:
    for name, value in body.items():
        if name in raw or name.startswith("_"):
            continue
        origin = get_origin(value) or value
        if isinstance(value, FieldOptions):
            raise DeclarationError(
                f"{cls.__name__}.{name}: field() without an annotation; write {name}: RedisHash[...] = field(...)"
            )
        if isinstance(origin, type) and issubclass(origin, RedisCollection):
            raise DeclarationError(
                f"{cls.__name__}.{name}: {shown_type(value)} is assigned, not declared; "
                f'write {name}: {shown_type(value)}, with ":" in place of "="'
            )


def _check_name_is_free(cls: type[StoreBase], name: str) -> None:
    base = next((base for base in cls.__mro__[1:] if name in vars(base)), None)
    if base is not None and not isinstance(vars(base)[name], FieldSpec):
        raise DeclarationError(
            f"{cls.__name__}.{name}: {base.__name__} uses the name {name!r} itself; choose another and keep the "
            f'Redis key, e.g. {name}_: ... = field(key="{name}")'
        )


def _all_fields(cls: type[StoreBase], body: Mapping[str, object]) -> Fields:
    """The fields of the bases, later in the method resolution order first, then its own."""
    found: dict[str, FieldSpec[RedisCollection]] = {}
    for base in reversed(_bases(cls)):
        found.update(base.__purse__.own)
    hidden = next((name for name in found if name in body and name not in cls.__purse__.own), None)
    if hidden is not None:
        raise DeclarationError(
            f"{cls.__name__}.{hidden}: {body[hidden]!r} hides the field {found[hidden]}; choose another name, "
            "or declare the field anew with an annotation"
        )
    inherited = {name: spec.inherited_by(cls, cls.__purse__.defaults) for name, spec in found.items()}
    return MappingProxyType({**inherited, **cls.__purse__.own})


def _check_keys(cls: type[StoreBase]) -> None:
    """Refuse fields that would have the same key, or a key among the entries of a key space."""
    holders: dict[str, FieldSpec[RedisCollection]] = {}
    for spec in cls.__purse__.fields.values():
        key = spec.key if cls.__purse__.defaults.namespace is not None else spec.rkey or f":{spec.tail}"
        holder = holders.setdefault(key, spec)
        if holder is not spec:
            raise DeclarationError(
                f"{holder} and {spec} have the same Redis key {key!r}; give one of them another key= or rkey="
            )
    if cls.__purse__.defaults.namespace is None:
        return
    for prefix, space in holders.items():
        if space.is_key_space or not space.holds_values:
            prefix = prefix if space.is_key_space else f"{prefix}:"
            for key, spec in holders.items():
                if spec is not space and key.startswith(prefix):
                    raise DeclarationError(
                        f"{spec} has the Redis key {key!r}, and all that begin with {prefix!r} belong to {space}; give "
                        "one of them another key= or rkey="
                    )


def _claim(cls: type[StoreBase], namespace: str) -> None:
    """Take ``namespace`` for ``cls``; two unrelated classes in one would read each other's keys."""
    if _holder_in_the_way(cls, namespace) is not None:
        gc.collect()  # classes are reference cycles: the holder may be gone, and only look alive
    holder = _holder_in_the_way(cls, namespace)
    if holder is not None:
        raise DeclarationError(
            f'namespace="{namespace}" of {_full_name(cls)} is already the namespace of {_full_name(holder)}; give one '
            f"of them another, or inherit it: class {cls.__name__}({holder.__name__})"
        )
    if namespace not in _claims or not issubclass(cls, _claims[namespace]):
        _claims[namespace] = cls


def _holder_in_the_way(cls: type[StoreBase], namespace: str) -> type[StoreBase] | None:
    holder = _claims.get(namespace)
    if holder is None or issubclass(cls, holder) or _home(holder) == _home(cls):
        return None
    return holder


def _home(cls: type[StoreBase]) -> tuple[str, str]:
    """Where the class is written. A script is ``__main__``, and another module when it is imported as well."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return (file or cls.__module__, cls.__qualname__)


def _full_name(cls: type[StoreBase]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


if TYPE_CHECKING:

    class StoreBase:
        """What type checkers see in place of the metaclass."""

        __purse__: ClassVar[Declaration]

        def __init_subclass__(
            cls,
            *,
            namespace: str = ...,
            ttl: TTL | None = None,
            codec: CodecFactory | None = None,
            engine: Engine | None = None,
            slots: Literal["store", "field"] = "store",
        ) -> None: ...
else:

    class StoreBase(metaclass=StoreMeta):
        """The base that brings the metaclass."""
