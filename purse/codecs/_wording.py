"""Reasons: the words in which a codec says why a value cannot be stored or read.

A reason is one sentence that names what is wrong and, where there is one, ends with the fix. It knows
neither key nor field: the collection that called the codec adds them. Of the data it holds reprs of about
80 characters. After ``hide_values()`` it holds none: no reprs, no mapping keys, no message of a
user's validator, only type names, declared field names and pydantic's error codes.

Nothing here runs while all is well.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import datetime, time
from typing import cast, get_args

from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr, ValidationError
from typing_extensions import is_typeddict

from purse.codecs._difference import Difference, Mark
from purse.codecs._shown import is_hidden, said, shown
from purse.codecs._type_names import fits, plain_class, type_name, unwrapped

__all__ = ["changed", "fix_for", "invalid", "message_of", "not_read_back", "short", "unwritable", "wrong_type"]

_SECRETS = (SecretStr, SecretBytes, Secret)
_BYTES_FIX = 'ser_json_bytes="base64"', 'val_json_bytes="base64"'
_NAN_FIX = ('ser_json_inf_nan="constants"',)
_INVERSE_FIX = "store the value that would come back, or make the type's serializer and validator inverse"


def short(value: object) -> str:
    """The repr of a value in about 80 characters, or its type's name while values are hidden."""
    return value.value if isinstance(value, Mark) else shown(value, 80)


def invalid(form: object, error: Exception) -> str:
    """Why stored bytes are not a value of the type ``form``."""
    if isinstance(error, UnicodeDecodeError):
        return f"does not hold a valid {type_name(form)}: the bytes are not UTF-8: declare bytes to keep them."
    if isinstance(error, ValidationError):
        loc, message = _first_error(error)
        where = _path(_visible(form, loc))
        return f"does not hold a valid {type_name(form)}: {where}{': ' if where else ''}{message}."
    return f"does not hold a valid {type_name(form)}: {message_of(error)}."


def wrong_type(form: object, value: object) -> str | None:
    """Why ``value`` is not an instance of the type ``form`` at all, or None if it looks like one."""
    if fits(form, value):
        return None
    if value is None:
        return f"expected {type_name(form)}, got None: declare {type_name(form)} | None."
    return f"expected {type_name(form)}, got {type(value).__name__}."


def unwritable(form: object, error: Exception) -> str:
    """Why pydantic could not turn a value into JSON."""
    text = str(error)
    if "surrogates not allowed" in text:
        return "a str in it has a lone surrogate, and UTF-8 cannot store one: replace it, or declare bytes."
    if "invalid utf-8 sequence" in text:
        return f"a bytes value in it is not UTF-8, and JSON must be: {_setting(_BYTES_FIX, form)}."
    if "Circular reference" in text:
        return "it contains itself, and JSON cannot store a cycle: break it."
    return f"{type_name(form)} cannot be written as JSON: {message_of(error)}: declare a serializer, or pass codec=."


def not_read_back(form: object, value: object, error: ValidationError) -> str:
    """Why a value was written, but what was written does not validate."""
    loc, message = _first_error(error)
    owner, field, part = _follow(value, loc)
    where = _path(_visible(form, loc))
    if owner is not None:
        if _is_excluded(owner, field):
            return f"field '{where}' is excluded from JSON but required to read it: give it a default, or store it."
        where = f"field '{where}': " if where else ""
    else:
        where = f"at {where}: " if where else ""
    if isinstance(part, float) and not math.isfinite(part):
        return f"{where}{part} is not a JSON number: {_setting(_NAN_FIX, type(owner) if owner else form)}."
    if owner is None:
        return f"it is not a valid {type_name(form)}: {where}{message}."
    if field and field not in owner.__dict__:
        return f"{where}{message} (the model was built without validation)."
    if not _still_valid(owner):
        return f"{where}{message} (the model was changed after validation)."
    return f"{where}{message}, so it could not be read back: {_INVERSE_FIX}."


def changed(form: object, found: Difference) -> str:
    """Why a value that can be written and read would come back as another value."""
    before, after = found.before, found.after
    here: type[object] = type(before)
    there: type[object] = type(after)
    where = f"at {said(found.path, 200)}: " if found.path else ""
    if here is not there and issubclass(here, there):
        return where + _subclass(form if not found.path else there, here, there)
    if isinstance(before, _SECRETS):
        reason = f"{here.__name__} is masked in JSON: {_secret_fix(found)}"
    elif isinstance(before, float) and not math.isfinite(before):
        reason = f"{before} is not a JSON number: {_setting(_NAN_FIX, type(found.owner) if found.owner else form)}"
    elif found.fix:
        reason = f"{short(before)} would come back as {short(after)}: {found.fix}"
    elif found.owner is not None and _is_excluded(found.owner, found.field):
        reason = "the field is excluded from JSON and would be lost: store it, or leave it at its default"
    elif here is not there and plain_class(form) is None and isinstance(before, BaseModel):
        reason = f"{here.__name__} would come back as {there.__name__}: give the union a discriminator"
    elif short(before) == short(after):
        reason = f"{_a(here)} would come back as another {there.__name__}: {_INVERSE_FIX}"
    else:
        reason = f"{short(before)} would come back as {short(after)}: {_INVERSE_FIX}"
    return f"does not come back equal: {where}{reason}."


def fix_for(value: object) -> str:
    """What to write instead of a value that came back as another, or an empty text."""
    if isinstance(value, (datetime, time)):
        if value.fold:
            return "JSON does not store fold: use a datetime with a time zone"
        if value.tzinfo is not None and value.utcoffset() is None:
            return "its zone has no offset without a date: use a fixed offset, tzinfo=timezone(timedelta(hours=...))"
    if isinstance(value, re.Pattern):
        return 'JSON does not store flags: write them into the pattern, re.compile("(?i)...")'
    if isinstance(value, deque):
        return (
            "JSON does not store maxlen: declare "
            "Annotated[deque[...], AfterValidator(lambda items: deque(items, maxlen=...))]"
        )
    if isinstance(value, defaultdict):
        return (
            "JSON does not store default_factory: declare "
            "defaultdict[..., Annotated[..., Field(default_factory=...)]] with that function"
        )
    return ""


def _setting(settings: tuple[str, ...], form: object) -> str:
    """Where to write settings of pydantic's, by the classes in ``form``."""
    listed = ", ".join(settings)
    classes = [*_configured(form)]
    if any(issubclass(cls, BaseModel) for cls in classes):
        return f"set model_config = ConfigDict({listed}) in the model"
    if classes:
        return f"set __pydantic_config__ = ConfigDict({listed}) in {classes[0].__name__}"
    return f"set ConfigDict({listed}) in the model, as model_config, or in the dataclass, as __pydantic_config__"


def _configured(form: object) -> Iterator[type]:
    """The models, dataclasses and TypedDicts that ``form`` names."""
    form = unwrapped(form)
    if isinstance(form, type) and (is_typeddict(form) or is_dataclass(form) or issubclass(form, BaseModel)):
        yield form
    for part in cast("tuple[object, ...]", get_args(form)):
        yield from _configured(part)


def _secret_fix(found: Difference) -> str:
    serializer = f'@field_serializer("{found.field}", when_used="json")' if found.field else "PlainSerializer"
    return f"declare a serializer, {serializer}, that returns its get_secret_value()"


def _subclass(form: object, given: type[object], declared: type[object]) -> str:
    name = declared.__name__
    if issubclass(declared, BaseModel) or is_dataclass(declared):
        union = type_name(form) if plain_class(form) is None else name
        fix = f"declare {union} | {given.__name__}"
        return f"{given.__name__} is a subclass of {name} and its own fields would be lost: {fix}."
    return f"{given.__name__} is a subclass of {name} and would come back as {_a(declared)}: pass {_a(declared)}."


def _a(kind: type[object]) -> str:
    return f"{'an' if kind.__name__[0] in 'aeiouAEIOU' else 'a'} {kind.__name__}"


def message_of(error: Exception) -> str:
    """An exception in one line, or only its type while values are hidden."""
    name = type(error).__name__
    if is_hidden():
        return name
    text = said(str(error).split("\n", 1)[0].rstrip(". "), 200)
    return f"{name}: {text}" if text else name


def _first_error(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["loc"], first["type"] if is_hidden() else said(first["msg"].rstrip("."), 200)


def _path(loc: tuple[int | str, ...]) -> str:
    return said(".".join(said(step, 80) for step in loc), 200)


def _visible(form: object, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The path to an error. While values are hidden only a declared name: later steps may be mapping keys."""
    if not is_hidden():
        return loc
    names: object = getattr(form, "model_fields", None) or getattr(form, "__annotations__", {})
    return loc[:1] if isinstance(names, Mapping) and loc and loc[0] in names else ()


def _follow(value: object, loc: tuple[int | str, ...]) -> tuple[BaseModel | None, str, object]:
    """The model and the name of its field that ``loc`` ends at, and what is there now.

    Pydantic mixes names of union members and of validators into its paths: steps that lead nowhere are skipped.
    """
    owner: BaseModel | None = None
    field = ""
    for step in loc:
        while isinstance(value, RootModel):
            value = cast("object", value.root)
        if isinstance(value, BaseModel):
            for name, info in type(value).model_fields.items():
                if step in (name, info.alias, info.validation_alias):
                    owner, field, value = value, name, value.__dict__.get(name)
                    break
        elif isinstance(value, Mapping):
            mapping = cast("Mapping[object, object]", value)
            value = next((item for key, item in mapping.items() if str(key) == str(step)), mapping)
        elif isinstance(step, int) and isinstance(value, (list, tuple)):
            sequence = cast("list[object]", value)
            value = sequence[step] if step < len(sequence) else sequence
        elif is_dataclass(value):
            value = getattr(value, str(step), value)
    return owner, field, value


def _is_excluded(owner: BaseModel, field: str) -> bool:
    info = type(owner).model_fields.get(field)
    return info is not None and bool(info.exclude)


def _still_valid(model: BaseModel) -> bool:
    """Whether a model, as it is now, would pass its own validation."""
    try:
        type(model).model_validate({**model.__dict__, **(model.__pydantic_extra__ or {})}, by_alias=False, by_name=True)
    except Exception:  # whatever its validators raise
        return False
    return True
