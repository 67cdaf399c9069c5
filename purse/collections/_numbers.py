"""Numbers that the server adds to, with INCRBY and its relatives, and what may be added.

Only an ``int`` or ``float`` with the default codec is stored as what Redis reads as a number, also under another name
or in ``Annotated``, if there is nothing to validate. Every other type needs validation.
"""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal, TypeAlias, cast, get_args, get_origin

from purse._engine.replies import Reply, as_bytes, as_int
from purse.codecs import codec_for
from purse.codecs._json_codecs import JsonCodec
from purse.codecs._shown import place, shown
from purse.codecs._type_names import one_less, unwrapped
from purse.errors import DecodeError, EncodeError

__all__ = ["Number", "addend", "as_sum", "not_a_number", "number_of"]

Number: TypeAlias = Literal["int", "float"]

_NOT_A_NUMBER = re.compile("value is not an? (valid )?(integer|float)")

_INT64 = range(-(2**63), 2**63)
_FLOAT_MAX = sys.float_info.max


def not_a_number(error: Exception, where: str, key: str, field: object) -> DecodeError | None:
    """The error to raise in place of ``error`` if that says that Redis cannot add to the stored bytes, else None.

    Args:
        where: the key and the field, for the message.
        key: the key or the prefix, for the error.
        field: the hash field or the entry. None: no number was added.
    """
    if field is None or not _NOT_A_NUMBER.search(str(error)):
        return None
    return DecodeError(
        f"{where} does not hold a number that Redis can add to: {error}. It was not changed.", key=key, field=field
    )


def number_of(value_type: object, codec: object) -> Number | None:
    """The kind of number that stored values of this type are to Redis, or None if they are not numbers.

    Args:
        codec: the one that is bound to the type.
    """
    if not isinstance(codec, JsonCodec):
        return None
    if value_type is int or value_type is float:
        return "int" if value_type is int else "float"
    core = unwrapped(value_type)
    if core is not int and core is not float:
        return None
    # The server adds and validates nothing, so there must be nothing to validate.
    return ("int" if core is int else "float") if _is_plain(value_type) else None


def _is_plain(form: object) -> bool:
    """Whether ``Annotated[int, ...]``, a ``NewType`` or an alias of it is validated as ``int`` is."""
    while get_origin(form) is not Annotated and (next_one := one_less(form)) is not form:
        form = next_one
    if get_origin(form) is Annotated:
        core, *_ = get_args(form)
        with_rules = cast("JsonCodec[object]", codec_for(cast("type[object]", form)))
        with_rules.check()
        return with_rules.is_plain is not None and _is_plain(core)
    return True


def addend(number: Number | None, amount: float, *, key: str, field: object) -> int | str:
    """``amount`` as the argument of INCRBY or INCRBYFLOAT.

    Args:
        key, field: the place that an error names.

    Raises:
        TypeError: the values are not numbers.
        EncodeError: ``amount`` is not such a number, or beyond 64 bits.
    """
    if number is None:
        raise TypeError(
            f"{place(key, field)}: increment() needs values declared as int or float, without constraints or a codec, "
            "because the server adds and does not validate: write "
            f"await c.modify(key, lambda value: value + {shown(amount)})"
        )
    if number == "int":
        if type(amount) is int and amount in _INT64:
            return amount
        wanted = "a 64-bit int"
    else:
        if type(amount) in (int, float) and -_FLOAT_MAX <= amount <= _FLOAT_MAX:
            return repr(amount)
        wanted = "a finite float"
    raise EncodeError(
        f"{place(key, field)}: cannot add {shown(amount)}, only {wanted}. Nothing was sent.", key=key, field=field
    )


def as_sum(number: Number | None, reply: Reply) -> float:
    """The sum that the server answered."""
    return as_int(reply) if number == "int" else float(as_bytes(reply))
