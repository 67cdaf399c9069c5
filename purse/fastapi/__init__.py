"""FastAPI: stores for handlers, a client for each server and application, limits for routes.

    app = FastAPI(lifespan=lifespan("redis://localhost"))

    @app.get("/plants/{name}")
    async def get_plant(name: str, garden: Inject[Garden]) -> Plant | None:
        return await garden.plants.get(name)

Objects of a running application, and objects of a request:

    start-up     a client for each URL                           closed at shutdown, last in first out, whatever failed
    first use    Garden(client)                                  kept: a plain store is bound once for each start-up
    request      UserStore(client, user_id=<from the path>)      a store with parameters is bound to its own values

``app.state`` and ``request.state`` are not used, and only the parameters of stores are added to the OpenAPI schema.
``Store.open`` interprets the URL, so ``embedded://`` works as well.

    _running    lifespan, bind: the clients of an application, and the start-up that serves a request
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
