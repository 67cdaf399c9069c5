"""The typing tests themselves: that they leave no method out."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

import purse
from purse import collections, embedded, limits, locks
from tests.support.scripts import ROOT

TYPING = ROOT / "tests" / "typing"
FILES = sorted(path for path in TYPING.glob("*.py") if not path.name.startswith("wrong"))

CLASSES: list[type[object]] = [
    purse.RedisHash,
    purse.RedisKeySpace,
    purse.RedisLifoQueue,
    purse.RedisList,
    purse.RedisPriorityQueue,
    purse.RedisQueue,
    purse.RedisSet,
    purse.RedisSortedSet,
    purse.Redlock,
    purse.Statistics,
    purse.Store,
    locks.Lease,
    locks.RedisLock,
    limits.Permit,
    limits.Rate,
    limits.RateLimit,
    limits.RedisRateLimiter,
    limits.RedisSemaphore,
    embedded.Server,
]

FOR_THE_ENGINE = {"redis_type", "owner", "until", "per_us"}
"""What the layers below ask of a lease or a rate, and ``redis_type``, whose type is tested once for all classes."""

Names = frozenset[str]


def names_in(annotation: ast.expr | None) -> Names:
    """The classes that an annotation names, without their arguments; of a union, each."""
    match annotation:
        case ast.BinOp(left, ast.BitOr(), right):
            return names_in(left) | names_in(right)
        case ast.Subscript(value):
            return names_in(value)
        case ast.Name(name):
            return frozenset({name})
        case _:
            return frozenset()


def fields_of_stores(modules: Iterable[ast.Module]) -> dict[str, dict[str, Names]]:
    """For each class in some modules, what its annotations declare."""
    return {
        node.name: {
            line.target.id: names_in(line.annotation)
            for line in node.body
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        }
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    }


def looked_at(function: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose type a function tests, in ``assert_type``, ``async with``, ``async for`` and ``x: T =``."""
    for node in ast.walk(function):
        match node:
            case ast.Call(ast.Name("assert_type"), [expression, _]):
                yield expression
            case ast.AnnAssign(value=ast.expr() as expression):
                yield expression
            case ast.AsyncWith(items) | ast.With(items):
                yield from (item.context_expr for item in items)
            case ast.AsyncFor(_, expression):
                yield expression
            case _:
                pass


def used(modules: Iterable[ast.Module]) -> dict[str, set[str]]:
    """For each class, the attributes of which some function in these modules says what they are."""
    stores = fields_of_stores(modules)
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for function in ast.walk(module):
            if isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
                arguments = {
                    each.arg: names_in(each.annotation) for each in ast.walk(function.args) if isinstance(each, ast.arg)
                }
                for expression in looked_at(function):
                    for name, attribute in read_in(expression, arguments, stores):
                        found["Store" if name in stores else name].add(attribute)
    return found


@cache
def covered() -> dict[str, set[str]]:
    """The same of the typing tests."""
    return used([ast.parse(path.read_text("utf-8")) for path in FILES])


def read_in(
    expression: ast.expr, arguments: dict[str, Names], stores: dict[str, dict[str, Names]]
) -> Iterator[tuple[str, str]]:
    """The attributes read in an expression, each with the class that it is read from."""

    def types_of(node: ast.expr) -> Names:
        if isinstance(node, ast.Name):
            return arguments.get(node.id, frozenset({node.id}))
        if isinstance(node, ast.Attribute):
            outer = types_of(node.value)
            return frozenset[str]().union(*(stores.get(name, {}).get(node.attr, ()) for name in outer))
        return frozenset()

    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute):
            for name in types_of(node.value):
                yield name, node.attr


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_public_method_has_its_types_tested(cls: type[object]) -> None:
    """A new method or attribute needs a line in ``tests/typing``, where both checkers read it."""
    public = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")} - FOR_THE_ENGINE

    assert public - covered()[cls.__name__] == set()


def test_every_class_is_in_the_list() -> None:
    """A new collection, lock or limiter has to be added above."""
    exported = {getattr(module, name) for module in (purse, collections, locks, limits) for name in module.__all__}
    awaited = {
        each
        for each in exported
        if inspect.isclass(each)
        and each.__module__.startswith("purse.")  # RedisClient is redis-py's own
        and any(inspect.iscoroutinefunction(method) for _, method in inspect.getmembers(each))
    }

    assert awaited - {*CLASSES, collections.RedisObject, collections.RedisCollection, collections.RedisKey} == set()


def test_only_a_line_that_says_the_type_counts() -> None:
    """A method that is called, and no more, could return anything; of a union each class is tested."""
    head = "async def hashes(plants: RedisHash[int] | RedisList[int], garden: Garden) -> None:\n    "
    store = "class Garden(Store):\n    log: RedisList[str]\n"

    assert used([ast.parse(head + "await plants.clear()")]) == {}
    assert used([ast.parse(head + "assert_type(await plants.clear(), int)")]) == {
        "RedisHash": {"clear"},
        "RedisList": {"clear"},
    }
    assert used([ast.parse(store + head + "assert_type(await garden.log.pop(), str)")]) == {
        "RedisList": {"pop"},
        "Store": {"log"},
    }
