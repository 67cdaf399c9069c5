"""The error tree: as its docstring draws it, picklable, and caught by handlers written for others."""

from __future__ import annotations

import pickle
import re
import traceback

import pytest
from redis.exceptions import RedisError, ResponseError

from purse import errors
from purse.errors import DecodeError, EditConflict, EncodeError, PurseError, UnsupportedServer, WrongKind

CARRYING: list[PurseError] = [
    EncodeError("no", key="k", field="f"),
    DecodeError("no", key="k", field=3, raw=b"\xff"),
    EditConflict("no", key="k", field="f"),
    WrongKind("no", key="k"),
    UnsupportedServer("no", key="k"),
]


def test_the_drawing_is_the_tree() -> None:
    """Every class is drawn under its parent with the other class it can be caught as, and none is forgotten."""
    assert errors.__doc__ is not None
    drawn = re.findall(r"[├└]── (\w+)(?:\((\w+)\))?", errors.__doc__)

    assert sorted(["PurseError", *(name for name, _ in drawn)]) == errors.__all__
    for name, other in drawn:
        kind: type[Exception] = getattr(errors, name)
        assert issubclass(kind, PurseError)
        assert not other or other in {base.__name__ for base in kind.__mro__}


@pytest.mark.parametrize("error", CARRYING, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: PurseError) -> None:
    """Message and attributes arrive in another process."""
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == "no"
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("name", errors.__all__)
def test_a_traceback_names_the_page(name: str) -> None:
    """Below the message stands where the error is explained; in another process, too, and once."""
    error = getattr(errors, name)("no")

    shown = "".join(traceback.format_exception_only(error))

    assert shown.endswith(f": no\npurse: see docs/errors.md#{name.lower()}\n")
    assert pickle.loads(pickle.dumps(error)).__notes__ == error.__notes__


def test_old_handlers_still_match() -> None:
    """What redis-py users and 2.x users catch, they still catch."""
    assert issubclass(EncodeError, ValueError)
    assert issubclass(DecodeError, ValueError)
    for kind in (WrongKind, UnsupportedServer):
        assert issubclass(kind, ResponseError)
        assert issubclass(kind, RedisError)
