"""Limiting: a declared rate limiter as a dependency of routes.

    dependencies=[Depends(rate_limit(Garden.api))]

    passes      RateLimit-Policy: "api";q=10;w=60         ten at once after a pause, and as many in 60 s
                RateLimit: "api";r=7;t=18                 seven now, all ten in 18 s
    refused     429, RateLimit: "api";r=0;t=6, Retry-After: 6

The header fields are those of draft-ietf-httpapi-ratelimit-headers since its eighth version. The older ones, such as
RateLimit-Limit and X-RateLimit-Limit, cannot tell one limit from another.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Annotated, NoReturn, TypeAlias, cast, overload

from fastapi import Depends, HTTPException, Response, WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from purse._declaration.field_spec import FieldSpec
from purse._declaration.signatures import parameters_of
from purse.codecs._shown import shown
from purse.collections import RedisObject
from purse.fastapi._providing import provide, taking
from purse.fastapi._running import check_store
from purse.limits import Identity, RateLimit, RedisRateLimiter
from purse.store import Store

__all__ = ["rate_limit"]

Identities: TypeAlias = Callable[[HTTPConnection], Identity | Awaitable[Identity]]
Limit: TypeAlias = Callable[..., Awaitable[RateLimit]]

_TRY_AGAIN_LATER = 1013  # of the registry of WebSocket close codes


@overload
def rate_limit(limiter: FieldSpec[RedisRateLimiter], /, *, key: Identities | None = None, cost: int = 1) -> Limit: ...
@overload
def rate_limit(
    limiter: FieldSpec[RedisRateLimiter], /, *, key: Callable[..., Identity | Awaitable[Identity]], cost: int = 1
) -> Limit: ...
def rate_limit(
    limiter: FieldSpec[RedisRateLimiter],
    /,
    *,
    key: Callable[..., Identity | Awaitable[Identity]] | None = None,
    cost: int = 1,
) -> Limit:
    """A dependency that limits the number of requests: ``dependencies=[Depends(rate_limit(Garden.api))]``.

    A request above the limit gets 429 and ``Retry-After`` before the handler is called. A WebSocket is closed with
    1013, "try again later". Responses report the remaining hits in ``RateLimit`` and ``RateLimit-Policy``.

    Args:
        limiter: the declared field, ``Garden.api``. If the store has parameters, the limiter of the request's store is
            used.
        key: returns the identity to count. None counts by the address of the client. Behind a proxy that is the
            proxy's address, unless the server is told to trust it (``uvicorn --proxy-headers``). ``key`` is a
            dependency, so FastAPI fills in its parameters: ``request: Request`` or
            ``Annotated[User, Depends(current_user)]``. If it has exactly one parameter without an annotation, as a
            lambda has, it gets the request and is called on the event loop.
        cost: the number of hits that a request counts as.

    Returns:
        The dependency, a new one each time. Its value is the ``RateLimit``.

    Raises:
        TypeError: ``limiter`` is something else. In a request: ``key`` returned no identity.
        ValueError: in a request: ``cost`` is more than can ever pass.

    One round trip for each request. Sends: as ``RedisRateLimiter.hit``.
    """
    _check_limiter(limiter)
    owner = check_store(limiter.owner, "rate_limit()")
    find = cast("Callable[[Store], RedisRateLimiter]", attrgetter(limiter.path))
    identify = _of_connection(key)

    async def limit(
        connection: HTTPConnection, response: Response, store: Store, identity: Identity | None = None
    ) -> RateLimit:
        if identify is not None:
            found = identify(connection)
            identity = await found if inspect.isawaitable(found) else found
        if identity is None:
            raise TypeError(
                f"rate_limit({limiter}, key=...): the key is None: return the identity to count, a str, int or UUID"
            )
        counting = find(store)
        answer = await counting.hit(identity, cost=cost)
        headers = _headers(limiter.path, counting, answer)
        if not answer.allowed:
            _refuse(connection, headers, math.ceil(answer.retry_after))
        for name, value in headers.items():
            response.headers.append(name, value)  # there may be other limits
        return answer

    annotations: dict[str, object] = {
        "connection": HTTPConnection,
        "response": Response,
        "store": Annotated[object, Depends(provide(owner))],
    }
    if identify is None:
        annotations["identity"] = Annotated[object, Depends(key)]
    return taking(limit, annotations)


def _check_limiter(given: object) -> None:
    if not isinstance(given, FieldSpec) or not issubclass(
        cast("FieldSpec[RedisObject]", given).collection, RedisRateLimiter
    ):
        told = shown(given)  # pyright: ignore[reportUnknownArgumentType] - narrowed to type[Unknown]
        raise TypeError(f"rate_limit() takes a declared RedisRateLimiter, not {told}: write rate_limit(Garden.api)")


def _of_connection(key: Callable[..., Identity | Awaitable[Identity]] | None) -> Identities | None:
    """The function that returns the identity of a request, or None if FastAPI has to call ``key``."""
    if key is None:
        return _address
    parameters = parameters_of(key).values()
    bare = len(parameters) == 1 and all(parameter.annotation is parameter.empty for parameter in parameters)
    return key if bare else None


def _address(connection: HTTPConnection) -> str:
    return "" if connection.client is None else connection.client.host


def _headers(name: str, limiter: RedisRateLimiter, answer: RateLimit) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it.

    The draft requires that Retry-After is not earlier than the end of the window that ``t`` names. So the window of a
    refusal ends when the request would pass.
    """
    policy = name.encode("ascii", "replace").decode()
    window = math.ceil(limiter.rate.per.total_seconds() * answer.limit / limiter.rate.count)
    left = math.ceil(answer.reset_after if answer.allowed else answer.retry_after)
    return {
        "RateLimit-Policy": f'"{policy}";q={answer.limit};w={window}',
        "RateLimit": f'"{policy}";r={answer.remaining};t={left}',
    }


def _refuse(connection: HTTPConnection, headers: dict[str, str], seconds: int) -> NoReturn:
    """End the request.

    Raises:
        HTTPException, WebSocketException: always.
    """
    told = f"Too many requests. Try again in {seconds} {'second' if seconds == 1 else 'seconds'}."
    if isinstance(connection, WebSocket):
        raise WebSocketException(_TRY_AGAIN_LATER, told)
    raise HTTPException(429, told, {"Retry-After": str(seconds), **headers})
