"""Wrong lines that type checkers must refuse. Read by mypy and pyright, never run.

Every wrong line carries an ignore comment for both; unnecessary ones are errors, so each line is proved wrong.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# What else pyright says of a line that is wrong anyway proves nothing:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnusedVariable=false, reportUnusedImport=false, reportUnusedExpression=false
# ruff: noqa: B018, F401, F841, RUF012

from __future__ import annotations

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from purse import TTL, RedisHash, RedisHsah, RedisList, Store, field  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

from .stores import Garden, Plant, PlantCodec


class Misspelt(Store, namespcae="typing-misspelt"):  # type: ignore[call-arg]  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
    """A class keyword that does not exist."""


class WrongNamespace(Store, namespace=42):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    """A namespace that is no str."""


class WrongTTL(Store, namespace="typing-ttl", ttl=3600):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    """A TTL that is a number."""


class WrongCodec(Store, namespace="typing-codec", codec=PlantCodec()):  # type: ignore[arg-type]  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    """One codec for all types."""


class WrongFields(Store, namespace="typing-fields"):
    """Options that do not exist or have the wrong type."""

    seconds: RedisHash[int] = field(ttl=3600)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    unit: RedisHash[int] = field(ttl=TTL(hour=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    renew: RedisHash[int] = field(ttl=TTL(hours=1, renew="always"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    option: RedisList[int] = field(max_len=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    length: RedisList[int] = field(maxlen="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tail: RedisList[int] = field(key=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    positional: RedisList[int] = field(TTL(hours=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    codec: RedisHash[int] = field(codec=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    value: RedisHash[int] = {"a": 1}  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    bare: RedisHash  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    many: RedisHash[int, str, bytes]  # type: ignore[type-arg]  # pyright: ignore[reportInvalidTypeArguments]


async def wrong_stores(client: Redis, garden: Garden) -> None:
    Garden()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden(SyncRedis())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Garden("redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Garden(client, "x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden(client, user_id=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden.open()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden.open(client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    garden.plant  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    garden.plants = 3  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    garden.clear()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    garden.aclose()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.clear("plants")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.delete()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await Garden.plants.get("a")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with garden:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def wrong_hashes(garden: Garden) -> None:
    plant = Plant(name="spinach")
    await garden.plants.set("a", "spinach")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.set(1, plant)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.set("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.by_id.set("a", plant)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.by_id.get("a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await garden.visits.set("a", "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.visits.set("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.setdefault("a", {"name": "spinach"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.update({1: plant})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.update({"a": "b"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.update([("a", plant)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.get_many("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.plants.delete_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda p: p.name)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda p, q: p)  # type: ignore[misc, arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda p: p, default="b")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda p: p, retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.plants.increment("a")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.visits.increment("a", 0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.visits.increment("a", "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.dict()["a"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    await garden.plants.append(plant)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    garden.plants.get("a")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    garden.plants.set("a", plant)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    garden.plants.items(on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    garden.plants["a"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    (await garden.plants.get("a")).name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    n: int = await garden.plants.get("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    if garden.plants.contains("a"):  # mypy --strict does not tell  # pyright: ignore[reportUnnecessaryComparison]
        pass
    for _ in garden.plants:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with garden.plants.edit("a"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with garden.plants.edit(1):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with garden.plants.edit("a") as edited:
        edited.nmae = "broccoli"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    async for key, _ in garden.by_id.items():
        key.upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def wrong_lists(garden: Garden) -> None:
    await garden.log.append(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.appendleft(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.extend([1, 2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.log.extend(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.recent.append("spinach")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.recent.insert("0", Plant(name="spinach"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.setitem(0, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.getitem("0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.index(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.remove(b"a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.slice("a", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.move(garden.recent)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.move(garden.log, src="top")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.popright()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    garden.log.append("a")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    garden.log[0]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    n: int = await garden.log.pop()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    for _ in garden.log:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def wrong_transactions(garden: Garden) -> None:
    await garden.atomic(await garden.log.len())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.log.len(), 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.log.len(), None)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic([garden.log.len()])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.log.len)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.log.append(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.atomic(garden.log.values())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.plants.edit("a"))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.atomic(garden.log.len(), timeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    garden.atomic(garden.log.len())  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    n: int = await garden.atomic(garden.log.len())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _length, _word = await garden.atomic(garden.log.len())  # type: ignore[misc]  # pyright: ignore[reportAssignmentType]
    words: tuple[int, int] = await garden.atomic(garden.log.len(), garden.log.pop())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    (await garden.atomic(garden.log.len(), garden.plants.get("a")))[1].name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def wrong_constructors(client: Redis) -> None:
    RedisHash(client, "k")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    RedisHash("redis://localhost", "k", str)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisHash(SyncRedis(), "k", str)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisHash(client, b"k", str)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisHash(client, "k", 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisHash(client, "k", str, maxlen=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    RedisHash(client, "k", str, ttl=60)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisHash(client, "k", str, codec=PlantCodec())  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RedisList(client, "k", str, key_type=int)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    RedisList(client, "k", str, maxlen="3")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    strings: RedisHash[str] = RedisHash(client, "k", int)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    TTL(3600)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    TTL(hours="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
