"""Classes in one namespace by inheritance: which fields they may have in common, and which are refused."""

from __future__ import annotations

import gc
import re

import pytest
from redis.asyncio import Redis

from purse import DeclarationError
from tests.support.declaring import Declare

# typing keeps generic classes, and they their module: each has a namespace of its own.
BASE = """
class Garden(Store, namespace=f"{__name__}-garden"):
    plants: RedisHash[int]
    sessions: RedisKeySpace[int]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="9/second")
    gate: RedisLock
"""


FINE = {
    "other keys": "class Orchard(Garden):\n    trees: RedisList[int]",
    "declared anew": "class Orchard(Garden):\n    plants: RedisHash[str]",
    "declared anew elsewhere": "class Orchard(Garden):\n    sessions: RedisKeySpace[int] = field(key='s')",
    "the same in two": "class A(Garden):\n    log: RedisList[int]\nclass B(Garden):\n    log: RedisList[int]",
    "a name that begins alike": "class A(Garden):\n    session: RedisList[int]\n    plants_: RedisKeySpace[int]",
    "behind a lock": "class A(Garden):\n    fence: RedisList[int] = field(key='gate:fence')",
    "another layout": "class A(Garden, slots='field'):\n    a: RedisList[int]\n"
    "class B(Garden):\n    b: RedisList[str] = field(key='a')",
    "an existing key": "class A(Garden):\n    a: RedisList[int] = field(rkey='x')\n"
    "class B(Garden):\n    b: RedisHash[int] = field(rkey='x')",
    "a namespace of its own": "class A(Garden, namespace='relatives-own'):\n"
    "    a: RedisList[int] = field(key='sessions_:x')",
    "a generic store": "M = TypeVar('M')\nclass A(Garden, Generic[M]):\n    a: RedisList[M]\n"
    "class B(A[int]): ...\nclass C(A[int]): ...",
    "a type that comes later": "class A(Garden):\n    a: RedisList['Late']\nclass B(Garden):\n    a: RedisList['Late']",
}


@pytest.mark.parametrize("source", FINE.values(), ids=FINE)
def test_relatives_may_have_fields_in_common(declare: Declare, source: str) -> None:
    """What both inherit, what a subclass declares anew, and what both declare alike."""
    declare(BASE + source)


WRONG = {
    "entries of the base": (
        "class Orchard(Garden):\n    one: RedisHash[int] = field(key='sessions:1')",
        "Orchard.one has the Redis key '{space}:sessions:1', and all keys that begin with '{space}:sessions:' belong",
    ),
    "entries of a base's field that was moved": (
        (
            "class Orchard(Garden):\n    sessions: RedisKeySpace[int] = field(key='s')\n"
            "    one: RedisHash[int] = field(key='sessions:1')"
        ),
        (
            "Orchard.one has the Redis key '{space}:sessions:1', and all keys that begin with '{space}:sessions:' "
            "belong to Garden.sessions: give one of them another key= or rkey="
        ),
    ),
    "entries of a sibling": (
        "class A(Garden):\n    one: RedisSet[int] = field(key='n:1')\nclass B(Garden):\n    n: RedisKeySpace[str]",
        "A.one has the Redis key '{space}:n:1', and all keys that begin with '{space}:n:' belong to B.n: give",
    ),
    "identities of a sibling": (
        (
            "class A(Garden):\n    web: RedisRateLimiter = RedisRateLimiter.field(rate='1/day')\n"
            "class B(Garden):\n    one: RedisList[int] = field(key='web:ada')"
        ),
        "B.one has the Redis key '{space}:web:ada', and all keys that begin with '{space}:web:' belong to A.web: give",
    ),
    "one key under two names": (
        "class A(Garden):\n    a: RedisList[int]\nclass B(Garden):\n    b: RedisList[int] = field(key='a')",
        "B.b and A.a have the same Redis key '{space}:a': give one of them another key= or rkey=",
    ),
    "other types": (
        "class A(Garden):\n    a: RedisList[int]\nclass B(Garden):\n    a: RedisList[str]",
        (
            "B.a and A.a have the same Redis key '{space}:a' and hold different types: give one of the classes a "
            'namespace: class B(..., namespace="...")'
        ),
    ),
    "a generic store": (
        (
            "M = TypeVar('M')\nclass Repo(Garden, Generic[M]):\n    items: RedisHash[M]\n"
            "class A(Repo[int]): ...\nclass B(Repo[str]): ..."
        ),
        "B.items and A.items have the same Redis key '{space}:items' and hold different types: give one of the classes",
    ),
    "a nested store": (
        (
            "class Part(Store):\n    lines: RedisList[int]\nclass A(Garden):\n    home: Part\n"
            "class B(Garden):\n    home: RedisKeySpace[int]"
        ),
        "A.home.lines has the Redis key '{space}:home:lines', and all keys that begin with '{space}:home:' belong to B",
    ),
}


@pytest.mark.rows(6)
@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_other_fields_with_one_key_are_refused(declare: Declare, source: str, message: str) -> None:
    """As in one class: in bases, subclasses and siblings, through nested stores; the message names both."""
    with pytest.raises(DeclarationError) as caught:
        declare(BASE + source)

    assert message in re.sub(r"\{\w+-garden\}", "{space}", str(caught.value))


def test_a_type_that_was_missing_is_compared_when_it_is_there(declare: Declare) -> None:
    """At the latest when the first instance is made."""
    module = declare(
        BASE
        + "class A(Garden):\n    a: RedisList['One']\nclass B(Garden):\n    a: RedisList['Two']\nOne, Two = int, str"
    )

    with pytest.raises(DeclarationError, match="hold different types"):
        module.B(Redis())


def test_a_special_case_of_a_template_is_a_relative(declare: Declare) -> None:
    """A subclass whose namespace its base's template can give has the keys of that instance, and may cover none."""
    source = """
class Team(Store, namespace=f"{{__name__}}:{{{{team}}}}"):
    notes: RedisKeySpace[int]
    def __init__(self, redis: RedisClient, *, team: str) -> None:
        super().__init__(redis, team=team)
class Red(Team, namespace=f"{{__name__}}:red"):
    notes: RedisKeySpace[int] = field(key="n")
    one: RedisList[int] = field(key="{tail}")
    def __init__(self, redis: RedisClient) -> None:
        Store.__init__(self, redis)
"""
    declare(source.format(tail="one"))

    with pytest.raises(DeclarationError, match=r"Red\.one has the Redis key .* belong to Team\.notes"):
        declare(source.format(tail="notes:one"))


def test_a_relative_that_is_gone_or_failed_is_in_nobodys_way(declare: Declare) -> None:
    """Only classes that were accepted, and live, are compared with."""
    garden = "class Garden(Store, namespace='relatives-gone'):\n    plants: RedisHash[int]"
    module = declare(garden)
    use = f"from {module.__name__} import Garden\n"

    def of_a_while() -> None:
        exec(f"{use}from purse import *\nclass Kitchen(Garden):\n    pots: RedisKeySpace[int]", {"__name__": "gone"})

    of_a_while()
    with pytest.raises(DeclarationError, match="have the same Redis key"):
        declare(f"{use}class Failed(Garden):\n    beds: RedisList[int]\n    rows: RedisList[int] = field(key='beds')")
    gc.disable()  # the class is a reference cycle: only the comparison itself may collect it
    try:
        declare(f"{use}class Orchard(Garden):\n    one: RedisList[int] = field(key='pots:1')\n    beds: RedisHash[int]")
    finally:
        gc.enable()


# --- keys that are used as they are ---------------------------------------------------------------------

INIT = """
    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)
"""
COVERED = {
    "the key of a field": ("h: RedisHash[int] = field(rkey='{rkeys:7}:prefs')", True),
    "an entry": ("h: RedisHash[int] = field(rkey='{rkeys:7}:notes:x')", True),
    "an identity": ("h: RedisHash[int] = field(rkey='{rkeys:7}:api:x')", True),
    "beside a lock": ("h: RedisHash[int] = field(rkey='fence!{rkeys:7}:gate')", True),
    "entries with a slot each": ("h: RedisHash[int] = field(rkey='rkeys:7::spread:{x}')", True),
    "a prefix of fields": ("h: RedisKeySpace[int] = field(rkey='{rkeys:7}:')", True),
    "a prefix of namespaces": ("h: RedisKeySpace[int] = field(rkey='{rke')", True),
    "a prefix of values": ("h: RedisKeySpace[int] = field(rkey='{rkeys:4')", True),
    "a prefix of entries with a slot each": ("h: RedisKeySpace[int] = field(rkey='rkeys:')", True),
    "up to the second colon": ("h: RedisKeySpace[int] = field(rkey='rkeys:7:')", True),
    "a limiter": ("h: RedisRateLimiter = RedisRateLimiter.field(rkey='rkeys:7', rate='1/day')", True),
    "a lock beside a field": ("h: RedisLock = field(rkey='x')\n    i: RedisHash[int] = field(rkey='!queue!{x}')", True),
    "a value that is no int": ("h: RedisHash[int] = field(rkey='{rkeys:me}:prefs')", False),
    "another namespace": ("h: RedisHash[int] = field(rkey='{rkeys:7:8}:prefs')", False),
    "another field": ("h: RedisHash[int] = field(rkey='{rkeys:7}:pref')", False),
    "no closing brace": ("h: RedisHash[int] = field(rkey='rkeys:7::spread:{x')", False),
    "the same without braces": ("h: RedisHash[int] = field(rkey='rkeys:7:prefs')", False),
    "a longer prefix": ("h: RedisKeySpace[int] = field(rkey='rkeys:7:8:')", False),
    "braces in braces": ("h: RedisHash[int] = field(rkey='{{user_id}:prefs')", False),
}


@pytest.mark.rows(10)
@pytest.mark.parametrize(("line", "refused"), COVERED.values(), ids=COVERED.keys())
def test_an_existing_key_is_not_that_of_another_field(declare: Declare, line: str, refused: bool) -> None:
    """``rkey=`` is the author's own word; but within one class no instance may have it twice."""
    source = (
        "class Users(Store, namespace='rkeys:{user_id}'):\n    prefs: RedisHash[int]\n    notes: RedisKeySpace[int]\n"
        "    spread: RedisKeySpace[int] = RedisKeySpace.field(slots='key')\n"
        "    api: RedisRateLimiter = RedisRateLimiter.field(rate='1/day')\n"
        f"    gate: RedisLock\n    {line}\n{INIT}"
    )
    if refused:
        with pytest.raises(DeclarationError, match=r"have the same Redis key|, and all keys that begin with "):
            declare(source)
    else:
        declare(source)


def test_two_fields_of_a_mixin_have_two_keys(declare: Declare) -> None:
    """Where they will be is not known yet, but that they would meet there."""
    with pytest.raises(DeclarationError, match=r"Logged\.a and Logged\.b have the same Redis key"):
        declare("class Logged(Store):\n    a: RedisList[int]\n    b: RedisHash[int] = field(key='a')")

    declare("class Logged(Store):\n    a: RedisList[int]\n    b: RedisKeySpace[int] = field(key='a')")
