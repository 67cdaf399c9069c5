"""Providing: the dependencies that FastAPI calls for stores.

    Inject[Garden]       Annotated[Garden, Depends(provide(Garden))]        to type checkers Garden
    provide(Garden)      async (connection) -> Garden                       adds nothing to the schema
    provide(UserStore)   async (connection, *, user_id: int) -> UserStore   user_id is a parameter, as in a handler

The signature that FastAPI sees has annotations that are objects. The annotations of stores are evaluated where the
store is declared, so ``from __future__ import annotations`` makes no difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar, cast

from fastapi import Depends
from pydantic import StringConstraints
from starlette.requests import HTTPConnection

from purse._declaration.declared import declaration_of
from purse._declaration.metaclass import complete
from purse._engine.forks import ThreadLock
from purse.fastapi._running import check_store, servers_for
from purse.store import Store

__all__ = ["Inject", "Provider", "provide", "taking"]

S = TypeVar("S", bound=Store)
T = TypeVar("T")
Provider: TypeAlias = Callable[..., Awaitable[S]]

_TEXT = StringConstraints(min_length=1)  # an empty text cannot be part of a key

_making = ThreadLock()


def provide(store: type[S], /) -> Provider[S]:
    """The dependency behind ``Inject[Garden]``: one function for each store class, always the same.

        app.dependency_overrides[provide(Garden)] = lambda: Garden(other_client)

    Args:
        store: the store class. The values of its parameters come from the path if it has a parameter of that name, else
            from the query. An annotation of ``__init__`` may name another source:
            ``user_id: Annotated[int, Depends(current_user)]``, ``tenant: Annotated[str, Header()]``. A value that does
            not fit is answered with 422, as for any other parameter.

    Raises:
        TypeError: ``store`` is something else.
        DeclarationError: an annotation of its ``__init__`` uses a name that does not exist.

    The dependency raises ``RuntimeError`` if ``lifespan(...)`` is not running. No I/O, no thread.
    """
    cls = cast("type[S]", check_store(store, "provide()"))
    with _making:
        # Kept on the class and not in a dict, so it is freed with the class. Each class has its own, not an inherited
        # one. The core does not declare the attribute, because it knows nothing about FastAPI.
        made: object = vars(cls).get("__purse_provider__")
        if made is None:
            made = _provider_of(cls)
            cls.__purse_provider__ = made  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return cast("Provider[S]", made)


if TYPE_CHECKING:
    Inject: TypeAlias = Annotated[S, "the store of this application"]
else:

    class Inject:
        """``garden: Inject[Garden]`` in a handler or dependency: the store of the running application.

        To type checkers it is ``Garden``, at run time ``Annotated[Garden, Depends(provide(Garden))]``.
        """

        def __class_getitem__(cls, store):
            if isinstance(store, str):
                raise TypeError(f'write Inject[{store}] without quotes, or all of it in quotes: "Inject[{store}]"')
            return Annotated[store, Depends(provide(store))]


def _provider_of(cls: type[S]) -> Provider[S]:
    declaration = declaration_of(cls)
    if declaration.template is None or not declaration.template.parameters:

        async def provide_plain(connection: HTTPConnection) -> S:
            return servers_for(connection.scope, cls).plain(cls)

        return taking(provide_plain, {"connection": HTTPConnection})

    complete(cls)

    async def provide_bound(__connection__: HTTPConnection, **values: str) -> S:
        # Which parameters there are, and of which types, is known only at run time.
        make = cast("Callable[..., S]", cls)
        return make(servers_for(__connection__.scope, cls).client_of(cls), **values)

    parameters = declaration.parameters.values()
    return taking(
        provide_bound,
        # No parameter of a store can have this name.
        {"__connection__": HTTPConnection}
        | {p.name: Annotated[p.annotation, _TEXT] if p.kind is str else p.annotation for p in parameters},
        {p.name: p.default for p in parameters},
    )


def taking(
    function: Callable[..., Awaitable[T]],
    annotations: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
) -> Callable[..., Awaitable[T]]:
    """Give ``function`` the signature for FastAPI: annotations are objects, whichever module they come from."""
    # inspect.signature() reads this attribute, which type checkers do not know.
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=(defaults or {}).get(name, inspect.Parameter.empty),
                annotation=annotation,
            )
            for name, annotation in annotations.items()
        ]
    )
    return function
