"""RedisObject: the base of all objects that are bound to a name in Redis.

    RedisObject             a client, a name, sending, and messages
    +-- RedisCollection     holds values: codecs and a TTL policy               ``collections._base``
    |   +-- RedisKey        is stored in one Redis key                               ``collections._key``
    |   |   +-- RedisHash, RedisList, RedisSet, RedisSortedSet, the queues
    |   +-- RedisKeySpace   is stored in all keys with one prefix
    +-- RedisLock, RedisRateLimiter, RedisSemaphore                             ``purse.locks``, ``purse.limits``

It holds no data and no connection. Each method gives the client's executor one command, or one ``Unit`` of several.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, TypeAlias, TypeVar, overload

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from purse._engine.clients import RedisClient
from purse._engine.interface import Executor
from purse._engine.registry import executor_for
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.slots import hash_tag
from purse._engine.unit import Command
from purse.codecs._shown import named, place, quoted, shown
from purse.errors import DeclarationError, UnsupportedServer, WrongKind

if TYPE_CHECKING:
    from purse._declaration.declared import StoreBase
    from purse._declaration.field_spec import FieldSpec

D = TypeVar("D", bound="RedisObject")

Call: TypeAlias = Coroutine[object, None, Reply]

RedisType: TypeAlias = Literal["string", "hash", "list", "set", "zset", "stream"]
"""The answers of TYPE."""

__all__ = ["Call", "RedisObject", "RedisType"]

# Refusals of a command inside a script. For the command alone redis-py has these classes.
_REFUSED_IN_SCRIPT: tuple[tuple[str, type[ResponseError]], ...] = (
    ("-OOM ", OutOfMemoryError),
    ("-READONLY ", ReadOnlyError),
    ("executing the script can't run this command", NoPermissionError),
    ("ACL failure in script", NoPermissionError),
)
_UNKNOWN_COMMAND = re.compile(r"unknown (redis )?command", re.IGNORECASE)


class RedisObject(ABC):
    """A client, a name in Redis, and the tools for the methods of all objects that have a name.

    Args:
        redis: the client. It is never closed here.
        name: the key or the prefix, used as it is.

    Attributes:
        redis: as given.
        redis_type: the Redis type of the key, or of each key, as TYPE calls it.

    Raises:
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or ``name`` is not a ``str``.
        DeclarationError: ``name`` has no UTF-8 form.

    A class that a store's annotation can name sets ``redis_type`` and ``__purse_structure__`` in its body. Names that
    begin with ``__purse_`` are for the other packages of purse, not for users:

    - ``__purse_structure__``: the class is one of purse, so its type parameters are the values and the keys. For a
      user's subclass the declaration follows the bases down to it.
    - ``__purse_beside__``: the names of further keys beside this one. See ``purse._coordination.beside``.
    - ``__purse_by_identity__``: each identity also has a key: the field's key, a ``:`` and the identity.
    - ``__purse_together__``: pairs of a command for one item and the call that does the same for many items in one
      round trip.
    - ``__purse_declared__``: the names of the store class and of its field, or None if it was built directly.
    - ``__purse_spread__``: ``slots=`` or a suffix gives it another slot than its store.
    """

    __slots__ = ("__purse_declared__", "__purse_spread__", "__weakref__", "_executor", "_name", "redis")

    redis_type: ClassVar[RedisType]
    _in_words: ClassVar[str] = ""  # the type in messages, empty if it is the word of TYPE

    __purse_structure__: ClassVar[bool] = False
    __purse_beside__: ClassVar[tuple[str, ...]] = ()
    __purse_by_identity__: ClassVar[bool] = False
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = ()

    __purse_declared__: tuple[str, str] | None
    __purse_spread__: bool
    redis: RedisClient
    _executor: Executor
    _name: str

    def __init__(self, redis: RedisClient, name: str) -> None:
        _check_order(type(self).__name__, redis, name)
        if type(name) is not str:
            raise TypeError(f"a key must be a str, not {shown(name)}: decode bytes keys first, if they are UTF-8")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DeclarationError(
                f"the key {shown(name)} contains a lone surrogate, which has no UTF-8 form: remove it"
            ) from None
        self.redis = redis
        self._name = name
        self.__purse_declared__ = None
        self.__purse_spread__ = False
        self._executor = executor_for(redis)

    if TYPE_CHECKING:
        # In a Store class an annotation `plants: RedisHash[Plant]` is a declaration: the class attribute
        # is a FieldSpec, the instance attribute the collection. At run time the FieldSpec does this. D and
        # not Self: jedi, which completes names in many editors, takes Self for the class that is written here.
        @overload
        def __get__(self: D, instance: None, owner: type[StoreBase]) -> FieldSpec[D]: ...
        @overload
        def __get__(self: D, instance: object, owner: type[object]) -> D: ...
        def __get__(self: D, instance: object, owner: type[object]) -> FieldSpec[D] | D: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {quoted(self._name)}>"

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"{named(self._name)}: a {name} cannot be copied or pickled, because it holds a connection: make another "
            f"one in the process that uses it with {name}(client, {quoted(self._name)}, ...), or pass a store's "
            "parameters and open the store there"
        )

    # --- for the engine and the declaration ----------------------------------------------------------

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``: turn an error of Redis into one that names the key."""
        text = str(error)
        where = self._where(field)
        if isinstance(error, ResponseError):
            if "WRONGTYPE" in text:
                words = self._in_words or self.redis_type
                return WrongKind(
                    f"{where}: the key does not hold a {words}, so {type(self).__name__} did not change it. "
                    "Call key_type() to see what it holds. Choose another key, or delete this one with "
                    "delete_redis_key().",
                    key=self._name,
                )
            if _UNKNOWN_COMMAND.search(text):
                return UnsupportedServer(
                    f"{where}: the server does not know a command that this call needs ({text}). Nothing was "
                    "written. Use Redis >= 6.2, and for TTL(per_item=True) Redis >= 7.4 or Valkey >= 9.",
                    key=self._name,
                )
            if type(error) is ResponseError:
                refusal = next((kind for words, kind in _REFUSED_IN_SCRIPT if words in text), None)
                error = error if refusal is None else refusal(text)
        if isinstance(error, RedisError):
            error.add_note(f"purse: {type(self).__name__} {where}")
        return error

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``: the hash tag of the key that a call for ``field`` concerns."""
        return hash_tag(self._name)

    @classmethod
    def __purse_type__(cls, options: Mapping[str, object]) -> RedisType:
        """The Redis type of an object that is declared with these options."""
        return cls.redis_type

    def _refuse_other_slots(self, method: str, *others: RedisObject) -> None:
        """Refuse a command that would need several slots.

        Raises:
            TypeError: the message names both.
        """
        for other in others:
            spread = self.__purse_spread__ or other.__purse_spread__
            if spread and other.__purse_slot_of__(None) != self.__purse_slot_of__(None):
                raise TypeError(
                    f"{self._where()}: {method}() with {named(other._name)} would need two hash slots of a "
                    'cluster in one step, because slots="field" gives each field a separate slot: declare both in a '
                    "store without slots="
                )

    def _where(self, field: object = None) -> str:
        return place(self._name, field)

    # One command and its reply. What is returned is a coroutine to await: a coroutine around it would cost each call.

    def _write_plain(self, command: Command | ScriptCall, field: object = None) -> Call:
        """Send a write that no TTL policy concerns, or a script that takes the policy as an argument."""
        return self._executor.ask(command, self, field)

    def _read_plain(self, command: Command, field: object = None) -> Call:
        """Send a read that never renews a TTL. It is sent again if its reply is lost."""
        return self._executor.ask_again(command, self, field)


def _check_order(collection: str, redis: object, name: object) -> None:
    """Refuse arguments in the wrong order, and a URL in place of a client.

    Raises:
        TypeError: the message has the call to write.
    """
    if isinstance(name, Redis):
        raise TypeError(
            f"{collection}(redis, key, ...): the client comes first: write {collection}(client, {quoted(redis)}, ...)"
        )
    if isinstance(redis, str):
        raise TypeError(
            f"{collection} takes a client, redis.asyncio.Redis, and not a str: for a URL write "
            f"{collection}(Redis.from_url(url), {quoted(name)}, ...)"
        )
