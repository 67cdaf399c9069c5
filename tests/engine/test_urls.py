"""URLs: each is read as it is meant, or refused with the fix and without a part of the password."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from purse import RedisHash, Store
from purse.embedded import Server
from purse.fastapi import lifespan
from purse.testing import isolated, serving

SECRET = "hunter2"
SPECIAL = "/?#[]@:%&=+ \t\n'\"\\{}ä\x1b"
PASSWORDS = [
    f"{before}{char}{behind}"
    for char in SPECIAL
    for before in ("", "12", SECRET)
    for behind in ("", "3", SECRET, "0?db=1")
]
FORMS = ["redis://user:{}@example.org:6380/2", "rediss://:{}@example.org:6380/2", "redis://:{}@example.org:6380/2"]


class Garden(Store, namespace="urls-garden"):
    """What is opened here."""

    visits: RedisHash[int]


def opened(url: str) -> dict[str, object]:
    """Where ``open`` would connect to, and as whom; no I/O."""
    return dict(Garden.open(url).visits.redis.connection_pool.connection_kwargs)


def text_of(error: BaseException) -> str:
    """All that a traceback shows of an exception, its contexts included, without lines of code."""
    lines = traceback.format_exception_only(error)
    context = error.__cause__ or error.__context__
    return "".join(lines) + (text_of(context) if context is not None else "")


@pytest.mark.rows(24)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_a_password_is_read_as_it_is_or_refused(password: str, form: str) -> None:
    """Whatever stands in it: the right host and the whole password, or an error that says to encode it."""
    try:
        settings = opened(form.format(password))
    except ValueError as error:
        told = text_of(error)
        assert SECRET not in told
        assert "Percent-encode a user" in told
    else:
        assert (settings["host"], settings["port"], settings["db"]) == ("example.org", 6380, 2)
        assert settings["password"] == password


@pytest.mark.rows(16)
@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_a_path_behind_a_password_is_the_right_one(password: str) -> None:
    """The same for the socket of a ``unix://`` URL."""
    try:
        settings = opened(f"unix://user:{password}@/run/redis.sock?db=2")
    except ValueError as error:
        told = text_of(error)
        assert SECRET not in told
        assert "Percent-encode a user" in told
    else:
        assert (settings["path"], settings["db"], settings["password"]) == ("/run/redis.sock", 2, password)


@pytest.mark.rows(16)
@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_what_is_encoded_is_read(password: str) -> None:
    """What the message says to write is right for each password."""
    encoded = quote(password, safe="")

    assert opened(f"redis://user:{encoded}@example.org")["password"] == password
    assert opened(f"unix://:{encoded}@/run/redis.sock")["password"] == password


WRONG = [
    SECRET,
    f":{SECRET}",
    f"redis:{SECRET}",
    f"redis://:{SECRET}",
    f"redis://user:{SECRET}",
    f"redis://user:{SECRET}/0",
    f"redis://example.org/{SECRET}",
    f"redis://example.org?{SECRET}",
    f"redis://example.org?password={SECRET}&socket_timeout={SECRET}",
    f"redis://example.org?db={SECRET}",
    f"redis://example.org?protocol={SECRET}",
    f"redis://example.org#{SECRET}",
    f"redis://[{SECRET}]",
    f"redis://[::1]:{SECRET}",
    f"redis://example.org:70000/0?password={SECRET}",
    f"rediss://example.org?ssl_cert_reqs={SECRET}",
    f"unix://{SECRET}",
    f"unix://{SECRET}/x.sock",
    f"embedded://{SECRET}",
    f"{SECRET}:{SECRET}://example.org",
    f"\x1b[31m{SECRET}://example.org",
]


def through_lifespan(url: str) -> None:
    """Start an application."""

    async def start() -> None:
        app = FastAPI(lifespan=lifespan(url))
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start())


def through_isolated(url: str) -> None:
    """Open the client of a test."""
    with isolated(url):
        pass


ENTRANCES: dict[str, Callable[[str], object]] = {
    "open": Garden.open,
    "lifespan": through_lifespan,
    "isolated": through_isolated,
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("url", WRONG, ids=ascii)
def test_nothing_of_a_wrong_url_is_shown(url: str, entrance: str) -> None:
    """Where there is no @, a password may stand anywhere: none of it is in the message, whoever is given the URL."""
    with pytest.raises(ValueError, match=rf"^{entrance}\(\).*(URL|embedded|://)") as caught:
        ENTRANCES[entrance](url)

    assert SECRET not in text_of(caught.value)
    assert text_of(caught.value).strip().isprintable()


@pytest.mark.parametrize("url", [url for url in WRONG if not url.startswith("embedded")], ids=ascii)
def test_the_environment_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong PURSE_REDIS_URL is an error that says that it came from there."""
    monkeypatch.setenv("PURSE_REDIS_URL", url.replace("\x00", ""))

    for use in (lambda: Garden.open("embedded://"), lambda: serving().__enter__()):
        with pytest.raises(ValueError, match=r"^PURSE_REDIS_URL") as caught:
            use()
        assert SECRET not in text_of(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://example.org",
        "redis://example.org/",
        "redis://example.org/3/",
        "redis:///3",
        "redis://?db=2",
        "redis://[::1]:6379/2",
        "redis://user@example.org",
        "redis://:p@example.org?client_name=a@b&socket_timeout=3",
        "redis://example.org?username=me@example.org&password=x",
        "rediss://example.org?ssl_cert_reqs=none",
        "unix:///run/a@b.sock",
        "unix:///run/a%23b.sock?db=3",
        "unix://user:p@/run/redis.sock",
    ],
)
def test_what_redis_py_reads_is_taken(url: str) -> None:
    """URLs that mean what redis-py reads in them are not refused."""
    opened(url)


async def test_a_hard_password_opens_a_connection() -> None:
    """On a real server: the encoded password is the right one."""
    password = "p/?#[]@:%&"
    with Server(port=0, config={"requirepass": password}) as server:
        async with Garden.open(f"redis://:{quote(password, safe='')}@127.0.0.1:{server.port}") as garden:
            await garden.visits.set("home", 1)
            assert await garden.visits.get("home") == 1
