"""Store: a class whose annotations declare Redis structures and their keys.

    class Garden(Store, namespace="garden"):
        plants: RedisHash[Plant]                    {garden}:plants
        log: RedisList[str] = field(key="diary")    {garden}:diary

    Garden(client)       binds to your own client and never closes it
    Garden.open(url)     makes a client, and closes it in aclose(). embedded:// also starts a server

    class UserStore(Store, namespace="user:{user_id}"):
        prefs: RedisHash[str]                       {user:42}:prefs

        def __init__(self, redis: RedisClient, *, user_id: int) -> None:
            super().__init__(redis, user_id=user_id)

    UserStore(client, user_id=42), UserStore.open(url, user_id=42)

Neither does any I/O with Redis. A store has few methods, because fields cannot use their names. The functions that
inspect stores are in ``purse.inspect``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Concatenate, Never, NoReturn, ParamSpec, TypeAlias, TypeVar, cast, overload

from purse._declaration.binding import Binding, binding_of
from purse._declaration.declared import declaration_of, flattened
from purse._declaration.isolation import prefix_of
from purse._declaration.metaclass import DeclaredStore, complete
from purse._declaration.parameters import check_open_arguments
from purse._declaration.templates import Value, written
from purse._engine.atomic import Atomic
from purse._engine.clients import RedisClient, check_client
from purse._engine.hooks import refuse_in_atomic
from purse._engine.registry import executor_for
from purse._engine.replies import as_int
from purse._engine.slots import hash_tag
from purse._engine.unit import Noted
from purse.codecs._shown import quoted
from purse.collections._key_space_entries import on_a_cluster_node
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from types import TracebackType

    from purse._declaration.declared import StoreBase
    from purse.collections.key_space import RedisKeySpace
    from purse.embedded._opening import Opened

__all__ = ["Store"]

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")
P = ParamSpec("P")
S = TypeVar("S")  # the store. With a bound, pyright would not see a class method in open()
# Never, because every coroutine accepts it: an async method is a Coroutine[Any, Any, T]. With a send type that might
# not fit, that Any would make the overloads of atomic() ambiguous, and ty and pyrefly would not know its result.
Awaits: TypeAlias = Coroutine[object, Never, T1]


class Store(DeclaredStore):
    """Base of declared stores: ``class Garden(Store, namespace="garden")``.

    Class keywords:
        namespace: the first part of every key, ``{garden}:plants``. Subclasses inherit it. It may have placeholders,
            ``user:{user_id}``, and each instance is bound to their values. A class without a namespace is a mixin, or a
            part to be nested in other stores: it declares fields for other classes and has no instances.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy of fields that do not declare one.
        codec: a function from a value type to the codec of fields that do not declare one.
        slots: ``"field"`` gives each field a separate hash slot, ``{garden::plants}``, so that a big store spreads
            over a cluster. Then atomic steps over several fields are not possible.
        engine: how calls reach Redis, as ``purse.configure`` takes it. The setting belongs to the client, so it also
            applies to other stores on it. The latest setting wins.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The store never closes it.
        parameters: a ``str``, ``int`` or ``UUID`` for each placeholder of the namespace. A class with placeholders
            declares them in its ``__init__``. The error for a missing one shows the lines to write.

    Raises:
        DeclarationError: the class has no namespace, or a name in an annotation does not exist.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or a parameter has another type than the class declares.
        ValueError: a parameter is empty, or has no UTF-8 form.

    Construction does no I/O.
    """

    if TYPE_CHECKING:  # typing.get_type_hints(Garden) lists the fields, and would evaluate these annotations too
        __purse_binding__: Binding
        __purse_opened__: Opened | None

        # In a store class `home: Shelf` declares a nested store. Its fields, Shop.home.lines, are declarations like
        # those of Shelf. At run time Shop.home is a NestedSpec. In any other class a store is a plain attribute.
        @overload
        def __get__(self: S, instance: None, owner: type[StoreBase]) -> type[S]: ...
        @overload
        def __get__(self: S, instance: object, owner: type[object]) -> S: ...
        def __get__(self: S, instance: object, owner: type[object]) -> type[S] | S: ...
    else:
        __purse_opened__ = None

    def __init__(self, redis: RedisClient, **parameters: Value) -> None:
        cls = type(self)
        name = cls.__name__
        binding: Binding | None = vars(self).get("__purse_binding__")
        if binding is None or not binding.nested:
            if cls is Store:
                raise DeclarationError(
                    'Store is the base of stores: write class Garden(Store, namespace="garden"), and Garden(client)'
                )
            if declaration_of(cls).template is None:
                raise DeclarationError(
                    f'{name} has no namespace, so its fields have no keys: write class {name}(Store, namespace="..."), '
                    f'or use it as a mixin: class Garden({name}, namespace="garden")'
                )
            complete(cls)  # a nested store was completed with the outer one
            if isinstance(cast("object", redis), str):
                raise TypeError(
                    f"{name} takes a client, redis.asyncio.Redis, not a str: for a URL write {name}.open(url)"
                )
            client = check_client(redis)
            namespace = prefix_of(client, cls) + _namespace(cls, parameters)
            self.__purse_binding__ = Binding(client, namespace, declaration_of(cls).members)
        engine = declaration_of(cls).defaults.engine
        if engine is not None:
            executor_for(redis).links.configure(engine)

    @classmethod
    def open(cls: Callable[Concatenate[RedisClient, P], S], url: str, *arguments: P.args, **parameters: P.kwargs) -> S:
        """A store on a new client: ``async with Garden.open("redis://localhost") as garden``.

        The first call opens the connection. ``embedded://`` starts a temporary server for this store only. ``aclose()``
        removes it with its data. The start takes 10 to 30 ms, inside this call. If the environment variable
        ``PURSE_REDIS_URL`` is set, that server is used instead, and is not cleared.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://`` as ``redis.asyncio.Redis.from_url`` reads them, or
                ``embedded://``. In a user or a password ``/ ? # [ ] @ : %`` must be percent-encoded.
            parameters: as for ``Garden(client)``: ``UserStore.open(url, user_id=42)``.

        Raises:
            ValueError: ``url`` is not such a URL. The message shows no part of it that may be a password.
            DeclarationError, TypeError, ValueError: as ``Garden(client)``. Also for options of the client, such as
                ``db=``, which belong into the URL.
            ServerNotFound, ServerFailed: no embedded server was found, or it did not start.
        """
        made = cast("type[Store]", cls)
        check_open_arguments(made, declaration_of(made).template, parameters)
        from purse.embedded._opening import open_client  # not loaded by importing the package

        opened = open_client(url, "open()")
        try:
            store = cls(opened.client, *arguments, **parameters)
        except BaseException:
            opened.discard()
            raise
        cast("Store", store).__purse_opened__ = opened
        return store

    async def aclose(self) -> None:
        """Close the client of ``open()``. Later calls raise ``StoreClosed``. Calling ``aclose`` again has no effect.

        Waiting calls of this store fail with a ``ConnectionError`` or ``StoreClosed``. Other event loops close the
        connections that they have opened, in their own threads. Does nothing for ``Garden(client)``, because your code
        owns that client.

        Sends nothing.
        """
        refuse_in_atomic("aclose", "closes connections")
        if self.__purse_opened__ is not None:
            await self.__purse_opened__.aclose()

    @overload
    def atomic(self) -> Coroutine[object, None, tuple[()]]: ...
    @overload
    def atomic(self, c1: Awaits[T1], /) -> Coroutine[object, None, tuple[T1]]: ...
    @overload
    def atomic(self, c1: Awaits[T1], c2: Awaits[T2], /) -> Coroutine[object, None, tuple[T1, T2]]: ...
    @overload
    def atomic(
        self, c1: Awaits[T1], c2: Awaits[T2], c3: Awaits[T3], /
    ) -> Coroutine[object, None, tuple[T1, T2, T3]]: ...
    @overload
    def atomic(
        self, c1: Awaits[T1], c2: Awaits[T2], c3: Awaits[T3], c4: Awaits[T4], /
    ) -> Coroutine[object, None, tuple[T1, T2, T3, T4]]: ...
    @overload
    def atomic(
        self, c1: Awaits[T1], c2: Awaits[T2], c3: Awaits[T3], c4: Awaits[T4], c5: Awaits[T5], /
    ) -> Coroutine[object, None, tuple[T1, T2, T3, T4, T5]]: ...
    @overload
    def atomic(
        self, c1: Awaits[T1], c2: Awaits[T2], c3: Awaits[T3], c4: Awaits[T4], c5: Awaits[T5], c6: Awaits[T6], /
    ) -> Coroutine[object, None, tuple[T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def atomic(
        self,
        c1: Awaits[T1],
        c2: Awaits[T2],
        c3: Awaits[T3],
        c4: Awaits[T4],
        c5: Awaits[T5],
        c6: Awaits[T6],
        c7: Awaits[T7],
        /,
    ) -> Coroutine[object, None, tuple[T1, T2, T3, T4, T5, T6, T7]]: ...
    @overload
    def atomic(
        self,
        c1: Awaits[T1],
        c2: Awaits[T2],
        c3: Awaits[T3],
        c4: Awaits[T4],
        c5: Awaits[T5],
        c6: Awaits[T6],
        c7: Awaits[T7],
        c8: Awaits[T8],
        /,
    ) -> Coroutine[object, None, tuple[T1, T2, T3, T4, T5, T6, T7, T8]]: ...
    @overload
    def atomic(self, *calls: Awaits[T1]) -> Coroutine[object, None, tuple[T1, ...]]: ...
    def atomic(self, *calls: Awaits[object]) -> Coroutine[object, None, tuple[object, ...]]:
        """Isolated, not rolled back: execute several calls as one transaction.

            size, visits = await garden.atomic(garden.log.append("planted"), garden.visits.increment("bed"))

        No other client's commands are executed between them. Before the execution it is all or nothing: if a value
        cannot be stored, or the server refuses to queue a command, nothing is executed. A command that fails during
        the execution (the key holds another Redis type, a stored value does not decode) does not stop or undo the
        others.

        Args:
            calls: calls of methods of this store's collections, or of others on the same client, not awaited
                before. Each must be a method of one round trip: not ``modify``, ``edit`` or an iteration.

        Returns:
            The result of each call, in order. Without calls ``()``, and nothing is sent.

        Raises:
            TypeError: something else was passed, or a call on another client. Nothing was sent, and all calls are
                closed. The message names the wrong argument.
            CodecError: an argument of a call does not fit. Nothing was sent.
            redis.exceptions.ResponseError: a command was refused when it was queued. Nothing was executed.
            AtomicFailed: calls failed during the execution. ``results`` has the result or the error of each.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the connection failed, or was lost
                before the reply came. The calls were executed as a whole or not at all.

        One round trip. Sends: MULTI, the commands of all calls (scripts as EVAL), EXEC.
        """
        return Atomic(executor_for(binding_of(self).client), calls)

    async def clear(self) -> int:
        """Delete the data of the fields, and nothing else.

        Deletes the declared keys, also those of ``field(rkey=...)``, with one UNLINK and without a search. Then it
        searches for the entries of key spaces, and deletes them page by page. Locks, limiters and semaphores are not
        changed.

        Returns:
            How many keys existed. 0 for a store without fields, which sends nothing.

        Raises:
            UnsupportedServer: there are key spaces, and the server is a node of a cluster. Nothing was deleted.

        One round trip, O(number of fields), and the cost of ``RedisKeySpace.clear`` for each key space. The server
        frees the memory in the background. Sends: UNLINK (with ``slots="field"`` one for each field).
        """
        binding = binding_of(self)
        specs = [spec for _, spec in flattened(binding.members) if spec.__purse_holds_values__]
        keys = [spec.__purse_key__(binding.namespace) for spec in specs if not spec.is_key_space]
        spaces = [spec.__purse_bind__(binding) for spec in specs if spec.is_key_space]
        if spaces:
            refuse_in_atomic("Store.clear", "searches for the entries of key spaces")
            if await executor_for(binding.client).is_cluster_node():
                raise on_a_cluster_node(f"{type(self).__name__}.clear()")
        spread = any(spec.slots == "field" for spec in specs)
        together = [(key,) for key in keys] if spread else [tuple(keys)]
        executor = executor_for(binding.client)
        note = f"{type(self).__name__}.clear()"
        deleted = 0
        if len(together) > 1:
            refuse_in_atomic("Store.clear", 'of a store with slots="field" needs several commands')
            deletions = (executor.ask(("UNLINK", *k), Noted(note, hash_tag(k[0]))) for k in together)
            deleted = sum(map(as_int, await asyncio.gather(*deletions)))
        elif keys:
            deleted = as_int(await executor.ask(("UNLINK", *keys), Noted(note, hash_tag(keys[0]))))
        for space in spaces:
            deleted += await cast("RedisKeySpace[object]", space).clear()
        return deleted

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise TypeError(f"a store is closed by its event loop: write async with {type(self).__name__}.open(url)")

        def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self: S) -> S:  # not Self, which jedi takes for Store: it would complete no field
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __setattr__(self, name: str, value: object) -> None:
        _refuse_change(self, name, "assigned")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _refuse_change(self, name, "deleted")
        super().__delattr__(name)

    def __repr__(self) -> str:
        binding: Binding | None = vars(self).get("__purse_binding__")
        return f"<{type(self).__name__} {'not bound' if binding is None else f'namespace={quoted(binding.namespace)}'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: it holds a connection: make another with "
            f"{type(self).__name__}(client), in the process that uses it"
        )


def _namespace(cls: type[Store], values: Mapping[str, Value]) -> str:
    """The namespace of an instance with these values.

    Raises:
        TypeError, ValueError: as ``Store``.
    """
    declaration, where = declaration_of(cls), cls.__name__
    template = declaration.template
    assert template is not None
    missing = [name for name in template.parameters if name not in values]
    if missing:
        handed_over = ", ".join(f"{name}={name}" for name in template.parameters)
        raise TypeError(
            f"{where}.__init__ did not hand over {missing[0]}: write super().__init__(redis, {handed_over}) in it"
        )
    unknown = next((name for name in values if name not in template.parameters), None)
    if unknown is not None:
        raise TypeError(
            f'{where} was given {unknown}=, and namespace="{template.text}" has no {{{unknown}}}: '
            "add it there, or omit the argument"
        )
    return template.filled(
        {name: written(name, values[name], declaration.parameters[name].kind, where) for name in template.parameters}
    )


def _refuse_change(store: Store, name: str, verb: str) -> None:
    spec = declaration_of(type(store)).members.get(name)
    if spec is not None:
        raise AttributeError(
            f"{spec} is a declared field and cannot be {verb}: its data is in Redis. To change it, await its "
            f"methods, for example await store.{name}.clear()"
        )
