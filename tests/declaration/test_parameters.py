"""Parameterised namespaces: the binding of values, what they make of keys, and which stores can meet."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from purse import TTL, DeclarationError, RedisClient, RedisHash, RedisKeySpace, RedisList, Store, field
from purse._declaration.templates import Template, can_meet, check_template, written
from purse.inspect import fields
from tests.support.clients import all_keys
from tests.support.declaring import Declare


class UserStore(Store, namespace="param-user:{user_id}"):
    """One parameter."""

    prefs: RedisHash[str]
    old: RedisList[str] = field(rkey="param-old")
    sessions: RedisKeySpace[int] = field(ttl=TTL(hours=1))

    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)
        self.user_id = user_id


class Report(Store, namespace="{tenant}:param-report:{number}", slots="field"):
    """Two parameters, each field in a slot of its own."""

    lines: RedisList[str]

    def __init__(self, redis: RedisClient, *, tenant: str, number: UUID) -> None:
        super().__init__(redis, tenant=tenant, number=number)


INIT = """
    def __init__(self, redis: RedisClient, *, {parameters}) -> None:
        super().__init__(redis, {values})
"""


async def test_each_value_has_keys_of_its_own(redis: Redis) -> None:
    """Two users' stores on one client share nothing but the class."""
    one, two = UserStore(redis, user_id=1), UserStore(redis, user_id=-2)

    await one.prefs.set("theme", "dark")
    await one.sessions.set("s", 3)
    await two.prefs.set("theme", "light")

    assert await one.prefs.get("theme") == "dark"
    assert sorted(await all_keys(redis)) == [
        b"{param-user:-2}:prefs",
        b"{param-user:1}:prefs",
        b"{param-user:1}:sessions:s",
    ]
    assert repr(one) == "<UserStore namespace='param-user:1'>"
    assert one.user_id == 1
    assert await one.clear() == 2
    assert await all_keys(redis) == [b"{param-user:-2}:prefs"]


async def test_open_takes_the_parameters(server_url: str) -> None:
    """``open`` hands over what ``__init__`` declares, and closes what it has opened."""
    async with UserStore.open(server_url, user_id=7) as store:
        await store.prefs.set("theme", "dark")

        assert store.prefs.rkey == "{param-user:7}:prefs"
        assert await store.clear() == 1


async def test_stores_of_several_users_take_part_in_one_atomic_step(redis: Redis) -> None:
    """Stores on one client, of one class or several, join in one transaction."""
    one, two = UserStore(redis, user_id=1), UserStore(redis, user_id=2)

    assert await one.atomic(one.old.append("x"), two.old.append("y"), two.prefs.len()) == (1, 2, 0)


async def test_slots_and_keys_with_parameters(redis: Redis) -> None:
    """The filled-in namespace is what a field's own slot begins with."""
    report = Report(redis, tenant="ACME & sons", number=UUID(int=1))

    assert report.lines.rkey == "{ACME%20%26%20sons:param-report:00000000-0000-0000-0000-000000000001::lines}"


def test_the_class_shows_the_template() -> None:
    """On the class a key has the placeholders; ``rkey=`` is what it is for all."""
    assert UserStore.prefs.key == "{param-user:{user_id}}:prefs"
    assert fields(UserStore)["old"].key == "param-old"


HOSTILE = ["*", "a:b", "}:x{", "%2A", "a%", "ä", "\x00", " ", "..", "a\nb", "[x]", "\\", "é", "~", "{", "1}"]


async def test_a_hostile_id_stays_in_its_own_segment(redis: Redis) -> None:
    """Whatever an id contains, its keys are its own, and its key spaces neither read nor delete a neighbour's."""

    class Tenant(Store, namespace="param-tenant:{name}"):
        notes: RedisKeySpace[str]

        def __init__(self, redis: RedisClient, *, name: str) -> None:
            super().__init__(redis, name=name)

    for name in HOSTILE:
        await Tenant(redis, name=name).notes.set("k", name)

    for name in HOSTILE:
        assert [item async for item in Tenant(redis, name=name).notes.items()] == [("k", name)]
    assert all(key.count(b":") == 3 and key.count(b"{") == 1 for key in await all_keys(redis))
    assert await Tenant(redis, name="*").clear() == 1
    assert len(await all_keys(redis)) == len(HOSTILE) - 1


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_values_give_different_segments(one: str, other: str) -> None:
    """The encoding is injective, and what it gives has no colon and no brace."""
    try:
        segments = [written("v", value, str, "X") for value in (one, other)]
    except ValueError:
        assert any(0xD800 <= ord(char) < 0xE000 for char in one + other)
        return

    assert (segments[0] == segments[1]) == (one == other)
    assert not any(char in segment for segment in segments for char in ":{}*?[]\\ ")


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("", ValueError, "Tenant: name='' is empty"),
        ("\ud800", ValueError, "Tenant: name='\\ud800' has no UTF-8 form"),
        (3, TypeError, "Tenant: name= must be a str, not 3"),
        (None, TypeError, "Tenant: name= must be a str, not None"),
    ],
)
def test_a_value_that_is_no_segment_is_refused(value: object, error: type[Exception], message: str) -> None:
    """Empty, not encodable, or of another type than declared: nothing is bound."""
    with pytest.raises(error) as caught:
        written("name", value, str, "Tenant")

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", ["1", True, 1.0, None, UUID(int=1)])
def test_an_int_is_an_int(value: object) -> None:
    """What only looks like an int is refused: it might be another user's."""
    with pytest.raises(TypeError, match="user_id= must be an int"):
        written("user_id", value, int, "UserStore")


def test_members_of_enums_are_the_values_they_stand_for() -> None:
    """A ``str`` of a subclass gives the same key as the plain one."""

    class Name(str):
        def __str__(self) -> str:
            return "something else"

    assert written("name", Name("x"), str, "X") == "x"


# --- the signature ------------------------------------------------------------------------------------


def test_what_to_write_is_in_the_error(declare: Declare) -> None:
    """A store with placeholders and without an ``__init__`` is told the lines that are missing, and they work."""
    with pytest.raises(DeclarationError) as caught:
        declare("class Users(Store, namespace='param-lines:{user_id}:{year}'):\n    n: RedisHash[int]")

    message, lines = str(caught.value).split("\n\n", 1)
    assert "has the placeholders user_id and year, and __init__ does not take user_id and year: write" in message
    source = f"class Users(Store, namespace='param-lines:{{user_id}}:{{year}}'):\n    n: RedisHash[int]\n\n{lines}"
    module = declare(source)
    assert module.Users(Redis(), user_id=1, year=2).n.rkey == "{param-lines:1:2}:n"


SIGNATURES = {
    "other name": ("'s:{user_id}'", "*, user: int", "user=user", "does not take user_id: write"),
    "positional": ("'s:{user_id}'", "user_id: int", "user_id=user_id", "takes user_id not only by keyword: write"),
    "one of two": ("'s:{a}:{b}'", "*, a: int", "a=a", "does not take b: write"),
    "placeholder forgotten": ("'s'", "*, user_id: int", "user_id=user_id", 'write namespace="s:{user_id}", or give'),
    "no annotation": (
        "'s:{user_id}'",
        "*, user_id",
        "user_id=user_id",
        "user_id has no annotation: write user_id: int",
    ),
    "float": ("'s:{x}'", "*, x: float", "x=x", "float cannot be part of a key: declare one of str, int and UUID"),
    "union": ("'s:{x}'", "*, x: int | str", "x=x", "int | str cannot be part of a key"),
    "optional": ("'s:{x}'", "*, x: Optional[int] = None", "x=x", "cannot be part of a key"),
}


@pytest.mark.parametrize(("namespace", "takes", "gives", "message"), SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_differs_is_refused(
    declare: Declare, namespace: str, takes: str, gives: str, message: str
) -> None:
    """Names, kinds and annotations of ``__init__`` have to be those of the placeholders."""
    with pytest.raises(DeclarationError) as caught:
        declare(
            f"class Users(Store, namespace={namespace}):\n    n: RedisHash[int]\n"
            f"    def __init__(self, redis: RedisClient, {takes}) -> None:\n        super().__init__(redis, {gives})\n"
        )

    assert message in str(caught.value)


TEMPLATES = {
    "part of a segment": (
        "'user-{id}'",
        'a placeholder is a whole part between colons: write for example namespace="users:',
    ),
    "open": ("'{id'", "a placeholder is a whole part between colons"),
    "two in one": ("'{a}{b}'", "a placeholder is a whole part between colons"),
    "empty": ("'user:{}'", "the placeholder '', which cannot be the name of an argument"),
    "keyword": ("'user:{class}'", "the placeholder 'class', which cannot be the name of an argument"),
    "dotted": ("'user:{a.b}'", "the placeholder 'a.b', which cannot be"),
    "format": ("'user:{a!r}'", "the placeholder 'a!r', which cannot be"),
    "redis": ("'user:{redis}'", "self, redis, url are arguments already: choose another name, for example {redis_id}"),
    "url": ("'user:{url}'", "are arguments already"),
    "twice": ("'{a}:{a}'", "has the placeholder 'a' twice"),
    "glob": ("'us*er:{a}'", "contains '*', and only letters, digits and _ . : - / are allowed: write for example "),
    "empty part": ("'user::{a}'", 'has an empty part, because ":" separates'),
}


@pytest.mark.parametrize(("namespace", "message"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_wrong_template_is_refused(declare: Declare, namespace: str, message: str) -> None:
    """A namespace that is no template says what is wrong with it."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"class Users(Store, namespace={namespace}): ...")

    assert message in str(caught.value)


def test_an_init_that_hands_over_too_little_or_too_much_is_told(declare: Declare) -> None:
    """A value that gets lost on the way to ``Store`` cannot become a key."""
    module = declare(
        """
        class Less(Store, namespace="param-less:{user_id}"):
            n: RedisHash[int]
            def __init__(self, redis: RedisClient, *, user_id: int) -> None:
                super().__init__(redis)
        class More(Store, namespace="param-more"):
            n: RedisHash[int]
            def __init__(self, redis: RedisClient) -> None:
                super().__init__(redis, user_id=3)
        """
    )

    with pytest.raises(TypeError, match=r"not hand over user_id: write super\(\).__init__\(redis, user_id=user_id\)"):
        module.Less(Redis(), user_id=1)
    with pytest.raises(TypeError, match=r'given user_id=, and namespace="param-more" has no \{user_id\}'):
        module.More(Redis())


def test_annotations_of_parameters_may_be_special(declare: Declare) -> None:
    """``Annotated``, ``NewType``, a default value, a name that comes later, a class in a function."""
    module = declare(
        """
        def define():
            Id = NewType("Id", int)
            class Users(Store, namespace="param-special:{a}:{b}:{c}"):
                n: RedisHash[int]
                def __init__(
                    self, redis: RedisClient, *, a: Annotated[str, "x"], b: Id, c: "UUID" = UUID(int=0), x: bool = False
                ) -> None:
                    super().__init__(redis, a=a, b=b, c=c)
            return Users
        Users = define()
        class More(Users): ...
        """
    )

    for cls in (module.Users, module.More):
        assert cls(Redis(), a="x", b=2).n.rkey == "{param-special:x:2:00000000-0000-0000-0000-000000000000}:n"


def test_a_subclass_inherits_parameters_or_adds_some(declare: Declare) -> None:
    """What is inherited with the namespace is checked again when a class has a namespace of its own."""
    module = declare(
        """
        class Users(Store, namespace="param-base:{user_id}"):
            n: RedisHash[int]
            def __init__(self, redis: RedisClient, *, user_id: int) -> None:
                super().__init__(redis, user_id=user_id)
        class Admins(Users):
            log: RedisList[str]
        class Monthly(Users, namespace="param-base:{user_id}:{month}"):
            def __init__(self, redis: RedisClient, *, user_id: int, month: int) -> None:
                Store.__init__(self, redis, user_id=user_id, month=month)
        """
    )

    assert module.Admins(Redis(), user_id=1).log.rkey == "{param-base:1}:log"
    assert module.Monthly(Redis(), user_id=1, month=2).n.rkey == "{param-base:1:2}:n"
    with pytest.raises(DeclarationError, match="has the placeholder name, and __init__ does not take name"):
        declare("from " + module.__name__ + " import Users\nclass Named(Users, namespace='param-named:{name}'): ...")


# --- templates that can meet ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "kinds", "other", "others", "meet"),
    [
        ("user:{id}", {"id": int}, "user:{name}", {"name": str}, True),
        ("user:{id}", {"id": int}, "user:{number}", {"number": int}, True),
        ("user:{id}", {"id": int}, "user:{key}", {"key": UUID}, False),
        ("user:{id}", {"id": int}, "user:42", {}, True),
        ("user:{id}", {"id": int}, "user:042", {}, False),
        ("user:{id}", {"id": int}, "user:me", {}, False),
        ("user:{id}", {"id": str}, "user:me", {}, True),
        ("user:{id}", {}, "user:me", {}, True),
        ("user:{id}", {"id": str}, "user:mäx", {}, False),
        ("user:{id}", {"id": UUID}, "user:00000000-0000-0000-0000-000000000001", {}, True),
        ("user:{id}", {"id": str}, "user:a:b", {}, False),
        ("user:{id}", {"id": str}, "group:{id}", {"id": str}, False),
        ("{a}:x", {"a": str}, "y:{b}", {"b": str}, True),
        ("{a}:x", {"a": str}, "{b}:y", {"b": str}, False),
        ("user", {}, "user", {}, True),
    ],
)
def test_templates_meet_if_some_values_give_one_namespace(
    one: str, kinds: dict[str, type[str]], other: str, others: dict[str, type[str]], meet: bool
) -> None:
    """Segment by segment, and the same from both sides."""
    assert can_meet(Template(one), kinds, Template(other), others) is meet
    assert can_meet(Template(other), others, Template(one), kinds) is meet


@pytest.mark.rows(4)
@pytest.mark.parametrize("other", ["param-meet:{name}", "param-meet:42", "{kind}:42"])
def test_stores_that_can_meet_are_refused(declare: Declare, other: str) -> None:
    """Two classes whose instances could have the same keys are refused, whichever comes first."""
    names = check_template(other, "Other").parameters
    init = INIT.format(parameters="".join(f"{n}: str, " for n in names), values="".join(f"{n}={n}, " for n in names))
    first = "class Users(Store, namespace='param-meet:{user_id}'):\n    n: RedisHash[int]\n" + INIT.format(
        parameters="user_id: int", values="user_id=user_id"
    )
    second = f"class Other(Store, namespace={other!r}):\n    n: RedisHash[int]\n" + (init if names else "")

    for source in (f"{first}\n{second}", f"{second}\n{first}"):
        with pytest.raises(DeclarationError, match="can give the same keys as"):
            declare(source)


@pytest.mark.rows(1)
def test_the_same_template_again(declare: Declare) -> None:
    """A class written again in its place takes over; a stranger with the same template is refused."""
    source = "class Users(Store, namespace='param-again:{{a}}'):\n    n: RedisHash[int]\n" + INIT
    again = source.format(parameters="a: int", values="a=a")

    module = declare(
        f"{again}\n{again}\nclass Sub(Users, namespace='param-again:7'):\n"
        "    def __init__(self, redis: RedisClient) -> None: Store.__init__(self, redis)"
    )

    assert module.Sub(Redis()).n.rkey == "{param-again:7}:n"
    with pytest.raises(DeclarationError, match="is already the namespace of"):
        declare(again)
