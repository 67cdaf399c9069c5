"""Lines that type checkers must refuse, and that differ from right ones in more than a token; see wrong.py."""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnusedVariable=false, reportUnusedExpression=false
# ruff: noqa: B015, B018, F841, RUF012

from __future__ import annotations

from redis.asyncio import Redis

from purse import TTL, RedisHash, RedisList, Store, field

from .stores import PlantCodec
from .wrong import Garden, Plant


class WrongCodec(Store, namespace="typing-otherwise-codec", codec=PlantCodec()): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class WrongFields(Store, namespace="typing-otherwise"):
    """Declarations."""

    positional: RedisList[int] = field(TTL(hours=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    value: RedisHash[int] = {"a": 1}  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    bare: RedisHash  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    many: RedisHash[int, str, bytes]  # type: ignore[type-arg]  # pyright: ignore[reportInvalidTypeArguments]


async def wrong_calls(client: Redis, garden: Garden, plant: Plant) -> None:
    """Stores and collections."""
    Garden(client, "x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    garden.plants = 3  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.plants.set("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.plants.update([("a", plant)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.get_many("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.plants.modify("a", lambda p: p.name)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda p, q: p)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
    await garden.plants.dict()["a"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    garden.plants["a"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    garden.log[0]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    garden.plants["a"] = plant  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    del garden.plants["a"]  # type: ignore[attr-defined]  # pyright: ignore[reportIndexIssue]
    len(garden.plants)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "a" in garden.plants  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    [*garden.log]  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    (await garden.plants.get("a")).name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    number: int = await garden.plants.get("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    RedisHash(client, "k")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisHash(client, "k", str, codec=PlantCodec())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    # mypy takes the type of the keys from the annotation and does not compare it with the default of key_type=.
    numbers: RedisHash[int, int] = RedisHash(client, "k", int)  # pyright: ignore[reportAssignmentType]
    TTL(3600)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    if garden.plants.contains("a"):  # mypy --strict does not tell  # pyright: ignore[reportUnnecessaryComparison]
        pass


async def wrong_transactions(garden: Garden) -> None:
    """``atomic``."""
    await garden.atomic(garden.log.len(), 3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic([garden.log.len()])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(garden.log.len)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(garden.log.len(), timeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    number: int = await garden.atomic(garden.log.len())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _length, _word = await garden.atomic(garden.log.len())  # type: ignore[misc]  # pyright: ignore[reportAssignmentType]
    (await garden.atomic(garden.log.len(), garden.plants.get("a")))[1].name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
