"""Everything purse can raise.

    PurseError
    ├── DeclarationError(TypeError)      a Store class is wrong: raised when it is defined or first bound
    ├── CodecError(ValueError)           a value cannot cross the wire
    │   ├── EncodeError                    the caller's value does not fit the declared type, so nothing was sent
    │   └── DecodeError                    the stored bytes do not fit the declared type
    ├── EditConflict                     another client changed the value first
    ├── AtomicFailed                     a call of atomic() failed inside EXEC: carries all results
    ├── StoreClosed(RuntimeError)        the store, or the client behind it, was closed by ``aclose()``
    ├── ServerNotFound(RuntimeError)     no redis-server or valkey-server to run embedded
    ├── ServerFailed(RuntimeError)       an embedded server did not start, or died
    ├── WrongKind(ResponseError)         the key holds another Redis type
    ├── UnsupportedServer(ResponseError) the command needs a newer server, or one that has all keys
    └── LockError(RuntimeError)          a lock, or a permit
        ├── LockNotAcquired                no quorum, or no lock, before the deadline
        └── LockLost                       validity ran out while the lock was held

``ResponseError`` is redis-py's, so handlers written for redis-py still match. Connection errors of
redis-py pass through unchanged.

Every error can be pickled, and its attributes carry the data of its message. ``docs`` names the section of the
documentation that explains it: ``DecodeError.docs`` is ``docs/errors.md#decodeerror``. The error has that name
as a note, so a traceback shows it.
"""

from __future__ import annotations

from typing import ClassVar

from redis.exceptions import ResponseError

__all__ = [
    "AtomicFailed",
    "CodecError",
    "DeclarationError",
    "DecodeError",
    "EditConflict",
    "EncodeError",
    "LockError",
    "LockLost",
    "LockNotAcquired",
    "PurseError",
    "ServerFailed",
    "ServerNotFound",
    "StoreClosed",
    "UnsupportedServer",
    "WrongKind",
]


class PurseError(Exception):
    """Base of everything that purse itself raises.

    Attributes:
        docs: the section of the documentation about this error, ``docs/errors.md#decodeerror``. Your own subclass of
            one of these inherits the section of its base.
    """

    docs: ClassVar[str] = "docs/errors.md#purseerror"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(f"purse: see {self.docs}")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__ == __name__:
            cls.docs = f"docs/errors.md#{cls.__name__.lower()}"


class DeclarationError(PurseError, TypeError):
    """A ``Store`` class, a field of it or a ``value_type`` is wrong. The message says what to write instead."""


class CodecError(PurseError, ValueError):
    """A value cannot cross the wire.

    Attributes:
        key: the Redis key, or None when a codec was called by itself.
        field: the hash field, list index or element position, where there is one.
    """

    def __init__(self, message: str, *, key: str | None = None, field: object = None) -> None:
        super().__init__(message)
        self.key = key
        self.field = field


class EncodeError(CodecError):
    """The caller's value does not fit the declared type, or would not come back equal. Nothing was sent."""


class DecodeError(CodecError):
    """The stored bytes are not a valid value of the declared type.

    Attributes:
        raw: the stored bytes, complete. After a ``pop``, which removes them from Redis, this is the only copy.
    """

    def __init__(self, message: str, *, key: str | None = None, field: object = None, raw: bytes | None = None) -> None:
        super().__init__(message, key=key, field=field)
        self.raw = raw


class EditConflict(PurseError):
    """Another client changed the value between the read and the write. Nothing was written.

    Attributes:
        key: the Redis key.
        field: the hash field.
    """

    def __init__(self, message: str, *, key: str | None = None, field: object = None) -> None:
        super().__init__(message)
        self.key = key
        self.field = field


class AtomicFailed(PurseError):
    """Calls of ``atomic()`` failed inside EXEC. The other calls were executed and are not rolled back.

    ``__cause__`` is the first error.

    Attributes:
        results: for each call, in the order of the calls, what it returned or the exception that it raised.
    """

    def __init__(self, message: str, *, results: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.results = results


class StoreClosed(PurseError, RuntimeError):
    """A call on a store, or a collection of it, after its ``aclose()``."""


class ServerNotFound(PurseError, RuntimeError):
    """No redis-server or valkey-server was found. The message lists the places searched and what to install."""


class ServerFailed(PurseError, RuntimeError):
    """An embedded server did not start, or died. The message contains the end of its log."""


class WrongKind(PurseError, ResponseError):
    """The key holds another Redis type than the collection needs. The key was not changed.

    Attributes:
        key: the Redis key.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        self.key = key


class UnsupportedServer(PurseError, ResponseError):
    """The command needs a newer server, or one that is not a node of a cluster. Nothing was written.

    Attributes:
        key: the Redis key.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        self.key = key


class LockError(PurseError, RuntimeError):
    """A lock or a permit cannot do what it was asked for. The message says what to do.

    Attributes:
        key: the lock's key.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class LockNotAcquired(LockError):
    """Could not acquire the lock before the deadline: others hold it, or no majority of the masters answered."""


class LockLost(LockError):
    """The lock is not held any more: its validity ran out, or another client has taken it."""
