"""What new users write first, and what they are told."""

from __future__ import annotations

import asyncio
import sys
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typing_extensions
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis
from typing_extensions import TypedDict, TypeForm

from purse import (
    DeclarationError,
    EncodeError,
    RedisHash,
    RedisKeySpace,
    RedisList,
    RedisLock,
    RedisSet,
    Store,
)
from tests.support.declaring import Declare


class Plant(BaseModel):
    name: str
    height: int = 1


class Garden(Store, namespace="misuse"):
    plants: RedisHash[Plant]


# --- clients and URLs -------------------------------------------------------------------------------


def test_a_url_in_place_of_a_client() -> None:
    """The call to write is named, and the URL not shown: it may have a password."""
    with pytest.raises(TypeError) as caught:
        Garden("redis://:secret@localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == (
        "Garden takes a client, redis.asyncio.Redis, not a str: for a URL write Garden.open(url)"
    )

    collections: list[Any] = [RedisHash, RedisKeySpace, RedisList, RedisSet]
    for collection in collections:
        with pytest.raises(TypeError) as caught:
            collection("redis://:secret@localhost", "k", int)
        assert "for a URL write " in str(caught.value)
        assert f"{collection.__name__}(Redis.from_url(url), 'k', ...)" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_the_client_comes_first() -> None:
    """``RedisHash("k", client, int)`` is answered with the right order."""
    collections: list[Any] = [RedisHash, RedisKeySpace, RedisList, RedisLock]
    for collection in collections:
        with pytest.raises(TypeError, match=rf"client comes first: write {collection.__name__}\(client, 'k', "):
            collection("k", Redis(), *([] if collection is RedisLock else [int]))


def test_the_base_of_all_stores_is_not_a_store() -> None:
    """``Store(client)`` is told what to write."""
    with pytest.raises(
        DeclarationError, match=r'write class Garden\(Store, namespace="garden"\), and Garden\(client\)'
    ):
        Store(Redis())


def test_a_store_is_closed_asynchronously() -> None:
    """``with`` is answered with ``async with``."""
    store: Any = Garden(Redis())

    with pytest.raises(TypeError, match=r"write async with Garden\.open\(url\)"), store:
        pass


class UserStore(Store, namespace="misuse:{db}"):
    notes: RedisList[str]

    def __init__(self, redis: Redis, *, db: int) -> None:
        super().__init__(redis, db=db)


async def test_options_of_the_client_given_to_open() -> None:
    """They are written into the URL; no value is shown, no server started. A parameter of that name is one."""
    opening: Any = Garden.open
    for url in ("redis://localhost", "embedded://"):
        with pytest.raises(TypeError, match=r"^Garden\.open\(\) takes the options .* redis://localhost:6379/2: write"):
            opening(url, db=2)
    with pytest.raises(TypeError) as caught:
        opening("redis://localhost", password="secret")
    assert "redis://localhost:6379?password=...: write that, or Garden(Redis.from_url(url, password=...))" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError, match=r"was given colour=, and namespace=\"misuse\" has no \{colour\}"):
        opening("redis://localhost", colour="red")
    async with UserStore.open("redis://localhost", db=2) as store:
        assert store.notes.rkey == "{misuse:2}:notes"


def test_a_method_of_a_collection_called_on_the_class() -> None:
    """``Garden.plants`` is the declaration; the collection belongs to an instance."""
    with pytest.raises(
        AttributeError, match=r"^Garden\.plants is a declaration .*: write Garden\(client\)\.plants\.get"
    ):
        _ = Garden.plants.get  # type: ignore[attr-defined]  # pyright: ignore
    assert not hasattr(Garden.plants, "__len__")


# --- declarations -----------------------------------------------------------------------------------

SETTINGS = {
    "class Settings:\n        namespace = 'g'": "Garden.Settings: class Settings in a store has no effect, because the",
    "class Meta:\n        ttl = 3": 'keywords: write class Garden(Store, namespace="...", ttl=..., codec=..., engine=',
    "class Config: ...": "Garden.Config: class Config in a store has no effect",
    "model_config = {}": "Garden.model_config: model_config of a store has no effect",
    "namespace = 'garden'": "class Garden(Store, namespace='garden')",
    "ttl = TTL(hours=1)": "Garden.ttl: ttl = TTL(",
    "ttl = timedelta(hours=1)": "in the body of a store has no effect, because the settings of a store are",
}


@pytest.mark.parametrize(("body", "message"), SETTINGS.items(), ids=SETTINGS.keys())
def test_settings_in_the_body_of_a_store(declare: Declare, body: str, message: str) -> None:
    """They were ignored silently: class keywords do it."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"class Garden(Store, namespace='misuse-settings'):\n    plants: RedisHash[int]\n    {body}")

    assert message in str(caught.value)


@pytest.mark.rows(1)
def test_a_model_in_the_body_may_have_any_name(declare: Declare) -> None:
    """``Settings`` may be the type of a field, and a method may be called ``ttl``."""
    module = declare(
        """
        class Garden(Store, namespace="misuse-models"):
            class Settings(BaseModel):
                dark: bool = False
            @dataclass
            class Meta:
                size: int = 0
            settings: RedisHash[Settings]
            metas: RedisHash[Meta]
            def ttl(self) -> int:
                return 3
        """
    )

    assert module.Garden.settings.value_type is module.Garden.Settings


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "api: RedisRateLimiter",
            "a RedisRateLimiter needs rate=: write api: RedisRateLimiter = RedisRateLimiter.field(rate=...)",
        ),
        ("api: RedisRateLimiter = field(key='a')", "Garden.api: a RedisRateLimiter needs rate=: write"),
        (
            "workers: RedisSemaphore",
            "a RedisSemaphore needs limit=: write workers: RedisSemaphore = RedisSemaphore.field(limit=...)",
        ),
    ],
)
def test_a_limit_without_its_number(declare: Declare, line: str, message: str) -> None:
    """What is missing is named, with the line to write."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"class Garden(Store, namespace='misuse-limits'):\n    {line}")

    assert message in str(caught.value)


def _old_models() -> dict[str, TypeForm[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic warns of them, too
        from pydantic.v1 import BaseModel as OldModel

        class Old(OldModel):
            name: str = ""

        class New(BaseModel):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            old: Old

    return {"itself": Old, "in a list": list[Old], "in a union": Old | None, "in a model": New}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="pydantic.v1 does not run there")
@pytest.mark.parametrize("where", ["itself", "in a list", "in a union", "in a model"])
@pytest.mark.filterwarnings("ignore:Mixing V1 models")
def test_a_model_of_pydantic_v1(where: str) -> None:
    """Pydantic 2 takes it for something else; it is refused when the collection is built."""
    with pytest.raises(DeclarationError, match=r"Old is a model of pydantic\.v1, .*derive it from pydantic\.Base"):
        RedisHash(Redis(), "k", _old_models()[where])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="it has all that is needed there")
def test_a_typed_dict_of_typing() -> None:
    """Before Python 3.12 pydantic cannot read it; that of ``typing_extensions`` is as good."""
    old = typing.TypedDict("old", {"n": int})  # noqa: UP013
    new = typing_extensions.TypedDict("new", {"n": int})  # noqa: UP013

    forms: list[Any] = [old, list[old]]
    for form in forms:
        with pytest.raises(DeclarationError, match="write from typing_extensions import TypedDict"):
            RedisHash(Redis(), "k", form)
    RedisHash(Redis(), "k", new)


def test_an_instance_is_not_a_type() -> None:
    """The class is named, and what is in the instance not shown."""
    given: Any = Plant(name="secret")

    with pytest.raises(DeclarationError, match=r"pass Plant, not Plant\(\.\.\.\)") as caught:
        RedisHash(Redis(), "k", given)
    assert "secret" not in str(caught.value)


def test_a_codec_function_that_fails(declare: Declare) -> None:
    """``codec=int`` is no function that makes codecs; the field is named."""
    with pytest.raises(
        DeclarationError, match=r"^Garden\.n: codec=<class 'int'> raised TypeError: .* for str: pass a codec"
    ):
        declare("class Garden(Store, namespace='misuse-codec'):\n    n: RedisHash[str] = field(codec=int)")


# --- pydantic's settings ------------------------------------------------------------------------------


class Row(TypedDict):
    raw: bytes
    share: float


@dataclass
class Line:
    raw: bytes
    share: float


class Model(BaseModel):
    raw: bytes = b""
    share: float = 0.0


class SetRow(TypedDict):
    raw: bytes
    share: float


SetRow.__pydantic_config__ = ConfigDict(  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64"
)


@dataclass
class SetLine:
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")
    raw: bytes
    share: float


class SetModel(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")
    raw: bytes = b""
    share: float = 0.0


INF = float("inf")
_ROW = "set __pydantic_config__ = ConfigDict({}) in Row"
_LINE = "set __pydantic_config__ = ConfigDict({}) in Line"
_MODEL = "set model_config = ConfigDict({}) in the model"
FORMS: dict[str, tuple[TypeForm[Any], Callable[[bytes, float], object], str]] = {
    "TypedDict": (Row, lambda raw, share: {"raw": raw, "share": share}, _ROW),
    "annotated TypedDict": (Annotated[Row, 1], lambda raw, share: {"raw": raw, "share": share}, _ROW),
    "dataclass": (Line, Line, _LINE),
    "model": (Model, lambda raw, share: Model(raw=raw, share=share), _MODEL),
    "models": (list[Model], lambda raw, share: [Model(raw=raw, share=share)], _MODEL),
}


@pytest.mark.parametrize("name", FORMS)
async def test_where_a_setting_of_pydantic_is_written(name: str) -> None:
    """A model has ``model_config``, a dataclass and a TypedDict ``__pydantic_config__``."""
    form, make, message = FORMS[name]
    values: RedisHash[Any] = RedisHash(Redis(), "k", form)

    with pytest.raises(EncodeError) as caught:
        await values.set("a", make(b"\xff", 0.0))
    assert message.format('ser_json_bytes="base64", val_json_bytes="base64"') in str(caught.value)
    with pytest.raises(EncodeError) as caught:
        await values.set("a", make(b"", INF))
    assert message.format('ser_json_inf_nan="constants"') in str(caught.value)


@pytest.mark.parametrize("form", [SetRow, SetLine, SetModel])
async def test_following_that_message_helps(redis: Redis, form: Any) -> None:
    """With the setting that the message names the value is stored, and comes back."""
    values: RedisHash[Any] = RedisHash(redis, "k", form)
    value = form(raw=b"\xff", share=INF)

    await values.set("a", value)

    assert await values.get("a") == value


# --- changing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hash", "key space"])
async def test_a_function_that_forgets_to_return(redis: Redis, kind: str) -> None:
    """To declare ``Plant | None`` would lose the record; the function must return."""
    plants: Any = RedisHash(redis, "k", Plant) if kind == "hash" else RedisKeySpace(redis, "k:", Plant)
    await plants.set("leek", Plant(name="leek"))

    def grow(plant: Plant) -> None:
        plant.height += 1

    with pytest.raises(EncodeError) as caught:
        await plants.modify("leek", grow)

    assert "the function given to modify() returned None. It must return the value to store: end it with return" in str(
        caught.value
    )
    assert "declare" not in str(caught.value)
    assert (caught.value.key, caught.value.field) == (plants.redis and ("k" if kind == "hash" else "k:"), "leek")
    assert await plants.get("leek") == Plant(name="leek")
    assert await _optional(redis).modify("x", lambda value: None, default=None) is None


def _optional(redis: Redis) -> RedisHash[Plant | None]:
    return RedisHash(redis, "optional", Plant | None)


async def test_an_asynchronous_function_is_refused(redis: Redis) -> None:
    """Before anything is read; a function that returns a coroutine leaves none behind that was never awaited."""
    plants = RedisHash(redis, "k", Plant)
    await plants.set("leek", Plant(name="leek"))

    async def grow(plant: Plant) -> Plant:
        await asyncio.sleep(0)
        return plant

    def wrapped(plant: Plant) -> object:
        return grow(plant)

    functions: list[Any] = [grow, wrapped]
    for given in functions:
        with pytest.raises(TypeError, match=r"^k\['leek'\]: modify\(\) takes a plain function and not an async"):
            await plants.modify("leek", given)
    with pytest.raises(TypeError, match="modify"):
        await plants.modify("missing", grow)  # type: ignore[arg-type]  # pyright: ignore
