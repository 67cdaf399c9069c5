"""FastAPI: stores for handlers, a client for each server and application, limits for routes.

    app = FastAPI(lifespan=lifespan("redis://localhost"))

    @app.get("/plants/{name}")
    async def get_plant(name: str, garden: Inject[Garden]) -> Plant | None:
        return await garden.plants.get(name)

What belongs to a running application, and what to a request:

    start-up     a client for each URL                           closed at shutdown, last in first out, whatever failed
    the first    Garden(client)                                  kept: a plain store is bound once for each start-up
    a request    UserStore(client, user_id=<from the path>)      a store with parameters is bound to its own values

Nothing is kept in ``app.state`` or ``request.state``, and nothing is added to the OpenAPI schema but the parameters of
stores. A URL means what it means to ``Store.open``, so ``embedded://`` works, too.

    _running    lifespan, bind: which clients there are, and which of them a request belongs to
    _providing  Inject, provide: dependencies that FastAPI calls
    _limiting   rate_limit
"""

try:
    from purse.fastapi._limiting import rate_limit
    from purse.fastapi._providing import Inject, provide
    from purse.fastapi._running import bind, lifespan
except ModuleNotFoundError as _error:
    if _error.name not in ("fastapi", "starlette"):
        raise
    raise ModuleNotFoundError(
        'purse.fastapi needs FastAPI: pip install "redis-purse[fastapi]"', name=_error.name
    ) from _error

__all__ = ["Inject", "bind", "lifespan", "provide", "rate_limit"]
