"""StoreMeta: reads a ``Store`` class body and refuses a wrong one before anything is sent.

    read      the class body becomes a Declaration, ``Garden.__purse__``
    check     the names, the keys, and each field: its collection is built once on a client that is never used
    claim     the namespace is taken, and compared with those of other classes

When the first instance is made, ``complete`` checks the parts that need names which are defined later.

A class without a namespace, its own or inherited, is a mixin, or a part to be nested in others: its fields have no
keys until another class gives them a namespace. Type checkers never see the metaclass, because with it they would
ignore misspelt class keywords and infer Any for instances. They see a base class that lists the keywords.
"""

from __future__ import annotations

import contextlib
import difflib
import sys
from abc import ABCMeta
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, cast, get_args, get_origin

from typing_extensions import Format, get_annotations

from purse._declaration.annotations import Annotation, Unresolved, type_arguments
from purse._declaration.claims import compare, kinds_of, meeting_text, settle
from purse._declaration.declared import Declaration, StoreBase, flattened
from purse._declaration.field_spec import FieldSpec
from purse._declaration.names import Names, local_names
from purse._declaration.nested import NestedSpec
from purse._declaration.options import StoreDefaults, check_options, check_store_codec
from purse._declaration.parameters import Parameter, check_signature, read_parameters
from purse._declaration.reach import Meeting, meetings, reaches
from purse._declaration.templates import Template, check_template
from purse._declaration.type_forms import shown_type
from purse._engine.modes import check_engine
from purse.collections import RedisObject
from purse.collections._field_options import FieldOptions
from purse.errors import DeclarationError
from purse.ttl import TTL, as_ttl

if TYPE_CHECKING:
    from types import FrameType, FunctionType

    from purse._declaration.annotations import TypeArguments
    from purse._declaration.binding import Member
    from purse._engine.modes import Engine
    from purse.codecs import CodecFactory
    from purse.ttl import Lifetime

__all__ = ["DeclaredStore", "StoreMeta", "complete"]

Members: TypeAlias = "Mapping[str, Member]"

_KEYWORDS = ("namespace", "ttl", "codec", "engine", "slots")


class StoreMeta(ABCMeta):
    """The metaclass of ``Store``. It is an ``ABCMeta``, so that stores can be abstract."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], body: dict[str, object], /, **keywords: object
    ) -> type[StoreBase]:
        own = {keyword: keywords.pop(keyword) for keyword in _KEYWORDS if keyword in keywords}
        _check_keywords(name, bases, keywords)
        # Typed as checkers see it: for them StoreBase is a plain class.
        cls = cast("type[StoreBase]", super().__new__(mcls, name, bases, body, **keywords))
        # Not inspect.currentframe(): a frame in one of its own variables is a cycle and would keep other frames alive.
        definer = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        cls.__purse__ = declaration = _read(cls, own, body, definer)
        _check(cls)
        settle(cls, None if own.get("namespace") is None else declaration.template)
        for member_name, member in declaration.members.items():
            setattr(cls, member_name, member)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, object], /, **keywords: object) -> None:
        super().__init__(name, bases, body)


def _read(
    cls: type[StoreBase], own: Mapping[str, object], body: Mapping[str, object], definer: FrameType | None
) -> Declaration:
    """The declaration of a class body and its class keywords, not yet compared with other classes."""
    defaults = _defaults(cls, own)
    template = None if defaults.namespace is None else Template(defaults.namespace)
    if template is not None:
        check_signature(cls, template)
    names = _names_of_init(cls, definer)
    its = _own_members(cls, body, definer, defaults)
    members = _all_members(cls, body, its, defaults)
    fields = MappingProxyType(dict(flattened(members)))
    return Declaration(defaults, template, names, its, members, fields, {})


def _check(cls: type[StoreBase]) -> None:
    """Refuse every mistake that can be found now. Parts with missing names wait for ``complete``."""
    declaration = cls.__purse__
    with contextlib.suppress(Unresolved):
        declaration.parameters = _parameters(cls)
    _check_keys(cls)
    for member in declaration.members.values():
        member.__purse_check_closed__()
        with contextlib.suppress(Unresolved):
            member.__purse_check__()


def complete(cls: type[StoreBase]) -> None:
    """Resolve the names that were missing at class definition. The first instance needs all of them.

    Raises:
        DeclarationError: a name is still missing, or its type cannot be stored.
    """
    declaration = cls.__purse__
    if not declaration.complete:
        try:
            declaration.parameters = _parameters(cls)
            for member in declaration.members.values():
                member.__purse_check__()
        except Unresolved as error:
            raise DeclarationError(str(error)) from error.__cause__
        _check_keys(cls)  # only now it is certain which fields are key spaces
        compare(cls)
        declaration.complete = True


def _check_keywords(name: str, bases: tuple[type, ...], unknown: Mapping[str, object]) -> None:
    for keyword in unknown:
        close = difflib.get_close_matches(keyword, _KEYWORDS, 1)
        if close:
            raise DeclarationError(f"{name}: unknown class keyword {keyword}=: did you mean {close[0]}=?")
        # A user's __init_subclass__ may take it. Those of object and of typing take no keywords.
        others = {cls for base in bases for cls in base.__mro__} - {object, Generic, Protocol}
        if all("__init_subclass__" not in vars(cls) for cls in others):
            raise DeclarationError(f"{name}: unknown class keyword {keyword}=: a Store takes {'=, '.join(_KEYWORDS)}=")


def _defaults(cls: type[StoreBase], own: Mapping[str, object]) -> StoreDefaults:
    """The class keywords. Omitted ones come from the bases, the first base first."""
    where = cls.__name__
    namespace, ttl, codec, engine, slots = (own.get(keyword) for keyword in _KEYWORDS)
    if "namespace" in own and namespace is not None:
        namespace = check_template(namespace, where).text
    ttl = as_ttl(cast("Lifetime | None", ttl), where)
    check_store_codec(codec, where)
    if engine is not None:
        _check_engine(engine, where)
    if slots not in (None, "store", "field"):
        raise DeclarationError(f'{where}: slots= must be "store" (the default) or "field", not {slots!r}')
    inherited = [(base, base.__purse__.defaults) for base in _bases(cls)]
    if namespace is None:
        named = {defaults.namespace: base for base, defaults in reversed(inherited) if defaults.namespace is not None}
        if len(named) > 1:
            found = " and ".join(f'"{space}" ({base.__name__})' for space, base in named.items())
            raise DeclarationError(
                f"{where}: inherits the namespaces {found}: give it another with class {where}(..., namespace=...)"
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
        ttl,
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


def _names_of_init(cls: type[StoreBase], frame: FrameType | None) -> Names | None:
    initialise = cast("FunctionType | None", vars(cls).get("__init__"))
    if initialise is None:
        return None
    annotations = cast(
        "dict[str, object]", get_annotations(cast("Callable[..., object]", initialise), format=Format.FORWARDREF)
    )
    return Names(local_names(frame, annotations), _module_names(cls, frame))


def _parameters(cls: type[StoreBase]) -> Mapping[str, Parameter]:
    template = cls.__purse__.template
    if template is None or not template.parameters:
        return {}
    names = next((base.__purse__.names for base in (cls, *_bases(cls)) if base.__purse__.names is not None), Names())
    return MappingProxyType(read_parameters(cls, template, names))


def _own_members(
    cls: type[StoreBase], body: Mapping[str, object], frame: FrameType | None, defaults: StoreDefaults
) -> Members:
    raw = cast("dict[str, object]", get_annotations(cls, format=Format.FORWARDREF))
    _check_unannotated(cls, body, raw)
    visible = {name: value for name, value in body.items() if not isinstance(value, FieldOptions)}
    names = Names(visible, local_names(frame, raw), _module_names(cls, frame))
    found: dict[str, Member] = {}
    for name, written in raw.items():
        where = f"{cls.__name__}.{name}"
        annotation = Annotation(where, written, names)
        options = body.get(name, FieldOptions())
        if name.startswith("_") or annotation.is_constant():
            if name in body and isinstance(options, FieldOptions):
                why = "a name with an underscore in front" if name.startswith("_") else "a ClassVar"
                raise DeclarationError(f"{where}: {why} is not a field: rename it, or remove field()")
            hidden = None if name in body else annotation.hidden()
            if hidden is not None:
                raise DeclarationError(_hidden_text(cls.__name__, name, hidden))
            continue
        if not isinstance(options, FieldOptions):
            raise DeclarationError(
                f"{where}: a field has no value in the class, but = {options!r} gives it one: write "
                f"{name}: {annotation} or {name}: {annotation} = field(...), or ClassVar[...] if it is not stored"
            )
        _check_name_is_free(cls, name)
        declares = FieldSpec[RedisObject] if annotation.nested() is None else NestedSpec
        found[name] = declares(cls, name, annotation, check_options(options, where, name), defaults)
    return found


def _hidden_text(owner: str, name: str, hidden: str) -> str:
    """The message for a collection that looks like a field and is not a field."""
    where = f"{owner}.{name}"
    if name.startswith("_"):
        public = name.removeprefix(f"_{owner.lstrip('_')}__").strip("_") or "name"  # Python adds the class to __name
        return (
            f"{where}: a name with an underscore in front is not a field: write {public}: {hidden}, with "
            f'field(key="{name}") to keep the Redis key, or annotate self.{name} in __init__ if it is not stored'
        )
    return f"{where}: a ClassVar is not a field: write {name}: {hidden}, or give it a value if it is not stored"


def _module_names(cls: type[StoreBase], frame: FrameType | None) -> Mapping[str, object]:
    """The dict of the class's module. Not a copy, because it grows while the module is executed."""
    if frame is not None and frame.f_globals.get("__name__") == cls.__module__:
        return frame.f_globals
    module = sys.modules.get(cls.__module__)  # not made by a class statement but, for example, by types.new_class
    return {} if module is None else vars(module)


def _check_unannotated(cls: type[StoreBase], body: Mapping[str, object], raw: Mapping[str, object]) -> None:
    for name, value in body.items():
        if name in raw or name.startswith("_"):
            continue
        _check_not_settings(cls, name, value)
        origin = get_origin(value) or value
        if isinstance(value, FieldOptions):
            raise DeclarationError(
                f"{cls.__name__}.{name}: field() without an annotation: write {name}: RedisHash[...] = field(...)"
            )
        if isinstance(origin, type) and issubclass(origin, RedisObject):
            raise DeclarationError(
                f"{cls.__name__}.{name}: {shown_type(value)} is assigned, not declared: "
                f'write {name}: {shown_type(value)}, with ":" in place of "="'
            )


def _check_not_settings(cls: type[StoreBase], name: str, value: object) -> None:
    """Refuse settings in the form of other libraries: in an inner class, or as attributes."""
    keywords = 'namespace="...", ttl=..., codec=..., engine=..., slots=...'
    # A model of that name may be the type of a field. A class that contains only constants cannot.
    inner = isinstance(value, type) and value.__bases__ == (object,) and not is_dataclass(value)
    if name in ("Settings", "Meta", "Config") and inner:
        what, fix = f"class {name} in a store", keywords
    elif name == "model_config":
        what, fix = "model_config of a store", keywords
    elif name in ("namespace", "ttl") and isinstance(value, (str, TTL, timedelta)):
        what, fix = f"{name} = {value!r} in the body of a store", f"{name}={value!r}"
    else:
        return
    raise DeclarationError(
        f"{cls.__name__}.{name}: {what} has no effect, because the settings of a store are class keywords: "
        f"write class {cls.__name__}(Store, {fix})"
    )


def _check_name_is_free(cls: type[StoreBase], name: str) -> None:
    if not name.isidentifier():  # in a class that was not made by a class statement
        raise DeclarationError(f"{cls.__name__}: {name!r} cannot be the name of a field, because it is part of the key")
    base = next((base for base in cls.__mro__[1:] if name in vars(base)), None)
    if base is not None and not isinstance(vars(base)[name], (FieldSpec, NestedSpec)):
        raise DeclarationError(
            f"{cls.__name__}.{name}: {base.__name__} uses the name {name!r} itself: choose another and keep the "
            f'Redis key, for example {name}_: ... = field(key="{name}")'
        )


def _all_members(cls: type[StoreBase], body: Mapping[str, object], own: Members, defaults: StoreDefaults) -> Members:
    """The members of the bases, the last of the method resolution order first, then the class's own."""
    origins: dict[str, type[StoreBase]] = {}
    for base in reversed(_bases(cls)):
        origins.update(dict.fromkeys(base.__purse__.own, base))
    found: dict[str, Member] = {}
    direct = [base for base in _bases(cls) if base in cls.__bases__]
    types = {base: _type_arguments_for(cls, base) for base in direct}
    for name, origin in origins.items():
        for base, arguments in types.items():
            member = base.__purse__.members.get(name)
            if member is not None and member.origin is origin:
                found[name] = member.__purse_inherited__(cls, defaults, arguments)
                break
    hidden = next((name for name in found if name in body and name not in own), None)
    if hidden is not None:
        raise DeclarationError(
            f"{cls.__name__}.{hidden}: {body[hidden]!r} hides the field {found[hidden].origin.__name__}.{hidden}: "
            "choose another name, or declare the field anew with an annotation"
        )
    return MappingProxyType({**found, **own})


def _type_arguments_for(cls: type[StoreBase], base: type[object]) -> TypeArguments:
    """The types of the type variables of ``base`` in ``class cls(base[...])``."""
    written = cast("tuple[object, ...]", vars(cls).get("__orig_bases__", ()))
    given = next((get_args(alias) for alias in written if get_origin(alias) is base), ())
    module = sys.modules.get(cls.__module__)
    return type_arguments(base, given, cls.__name__, Names({} if module is None else vars(module)))


def _check_keys(cls: type[StoreBase]) -> None:
    """Refuse fields that would have the same key, or a key among the entries of a key space."""
    declaration = cls.__purse__
    specs = [*declaration.fields.values()]
    template = declaration.template
    if template is None:
        # The namespace of a mixin is not known yet, but two equal keys will be equal in any namespace.
        holders: dict[str, FieldSpec[RedisObject]] = {}
        for spec in specs:
            holder = holders.setdefault(key := spec.__purse_key__("..."), spec)
            if holder is not spec:
                raise DeclarationError(meeting_text(Meeting(holder, spec, key, None)))
        return
    its = reaches(specs, template, kinds_of(cls))
    for meeting in meetings(its, its):
        raise DeclarationError(meeting_text(meeting))


if TYPE_CHECKING:
    DeclaredStore = StoreBase
else:

    class DeclaredStore(StoreBase, metaclass=StoreMeta):
        """The base that adds the metaclass. Type checkers see only ``StoreBase``."""
