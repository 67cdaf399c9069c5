"""The two applications of ``python -m benchmarks http``, under uvicorn and with a few routes more.

    python -m benchmarks.http_apps purse 7      examples/fastapi_app.py on the listening socket with this number
    python -m benchmarks.http_apps by_hand 7    benchmarks/http_by_hand.py

    GET /gathered     as /plants, with a call for each plant; by hand that is a pipeline
    GET /-/cpu        seconds of CPU time of this process so far
    GET /-/profile    starts the profiler; the second time stops it, and says what took how long by package

The latter two are answered before FastAPI sees them. Everything else is the application's own.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType, GenericAlias
from typing import Annotated, cast

import uvicorn
from fastapi import Depends, FastAPI, Query
from starlette.types import ASGIApp, Receive, Scope, Send

from purse import RedisHash, Store
from purse.fastapi import provide

__all__ = ["by_hand", "purse"]


class _Nursery(Store):
    """What is used here of the example's store."""

    plants: RedisHash[object]


def purse() -> FastAPI:
    """The example, with a route that reads many plants one by one."""
    example = import_module("examples.fastapi_app")
    app = cast("FastAPI", example.app)
    nursery = Depends(provide(cast("type[_Nursery]", example.Nursery)))

    async def gathered(
        name: Annotated[list[str], Query(max_length=100)],
        nursery: _Nursery = nursery,  # what it is, only the example knows, so not in the annotation
    ) -> list[object]:
        return await asyncio.gather(*(nursery.plants.get(each) for each in name))

    app.get("/gathered", response_model=GenericAlias(list, (example.Plant | None,)))(gathered)
    return app


def by_hand() -> FastAPI:
    """The same by hand."""
    return cast("FastAPI", import_module("benchmarks.http_by_hand").app)


def main() -> None:
    """Run one of them until SIGTERM."""
    app, number = sys.argv[1:]
    # Not uvicorn's --fd: to it every such socket is a unix socket, and gets no TCP_NODELAY.
    listening = socket.socket(fileno=int(number))
    config = uvicorn.Config(_observed(APPS[app]()), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def _observed(app: ASGIApp) -> ASGIApp:
    profiler = cProfile.Profile()
    running: list[bool] = []

    def profile() -> dict[str, float]:
        if not running:
            running.append(True)
            profiler.enable()
            return {}
        profiler.disable()
        return _by_package(profiler)

    answers: dict[str, Callable[[], object]] = {"/-/cpu": time.process_time, "/-/profile": profile}

    async def observed(scope: Scope, receive: Receive, send: Send) -> None:
        answer = answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None:
            await app(scope, receive, send)
            return
        body = json.dumps(answer()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return observed


def _by_package(profiler: cProfile.Profile) -> dict[str, float]:
    """Seconds by package: what a function does itself, with the functions written in C that it calls."""
    spent: defaultdict[str, float] = defaultdict(float)
    for entry in profiler.getstats():
        if not isinstance(entry.code, CodeType):
            continue
        inside = sum(call.inlinetime for call in entry.calls or () if isinstance(call.code, str))
        spent[_package(entry.code.co_filename)] += entry.inlinetime + inside
    return spent


def _package(file: str) -> str:
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    for ours in ("purse", "examples", "benchmarks"):
        if ours in parts[:-1]:
            return "handlers" if ours != "purse" else ours
    return "standard library"


APPS = {"purse": purse, "by_hand": by_hand}

if __name__ == "__main__":
    main()
