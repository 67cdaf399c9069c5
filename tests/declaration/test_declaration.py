"""Declarations: what a ``Store`` class body means, and what is refused when it is defined.

Sources that no type checker would pass are executed from strings, each with and without ``from __future__
import annotations``, because the two give the metaclass different things to read.
"""

# No `from __future__ import annotations` here: test_declaration_future.py is the same with it.

import gc
import re
from types import ModuleType
from typing import Annotated, ClassVar

import pytest
from pydantic import BaseModel

from purse import TTL, DeclarationError, RedisHash, RedisList, Store, field
from purse.inspect import FieldSpec, fields
from tests.support.declaring import Declare


class Plant(BaseModel):
    """A value."""

    name: str


def spec_of(module: ModuleType, store: str, name: str) -> FieldSpec:
    """One field of a store in an executed module."""
    return fields(getattr(module, store))[name]


# --- what fields are --------------------------------------------------------------------------------


def test_annotations_of_collections_are_fields_in_order() -> None:
    """Every annotation with a collection is a field, keyed by its name behind the namespace."""

    class Garden(Store, namespace="decl-garden"):
        plants: RedisHash[Plant]
        by_id: RedisHash[Plant, int]
        log: RedisList[str]

    declared = fields(Garden)

    assert [*declared] == ["plants", "by_id", "log"]
    assert declared["plants"].key == "{decl-garden}:plants"
    assert declared["plants"].collection is RedisHash
    assert declared["log"].collection is RedisList
    assert [spec.value_type for spec in declared.values()] == [Plant, Plant, str]
    assert [spec.key_type for spec in declared.values()] == [str, int, None]
    assert declared["plants"].name == "plants"
    assert declared["plants"].owner is Garden


def test_the_class_attribute_is_the_field() -> None:
    """``Garden.plants`` is the field itself, and shows where it stores what."""

    class Garden(Store, namespace="decl-garden"):
        plants: RedisHash[Plant]

    assert Garden.plants is fields(Garden)["plants"]
    assert repr(Garden.plants) == "<field Garden.plants: RedisHash[Plant] at '{decl-garden}:plants'>"


def test_fields_cannot_be_changed() -> None:
    """What ``fields`` returns is read-only."""

    class Garden(Store, namespace="decl-garden"):
        plants: RedisHash[Plant]

    with pytest.raises(TypeError):
        del fields(Garden)["plants"]  # type: ignore[attr-defined]  # pyright: ignore[reportIndexIssue]


def test_fields_takes_nothing_but_stores() -> None:
    """A class or object that is no store is refused and shown."""
    with pytest.raises(TypeError, match="takes a Store class or a store, not 42"):
        fields(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_constants_and_private_names_are_not_fields() -> None:
    """ClassVar, Final and names with a leading underscore keep their ordinary meaning."""

    class Garden(Store, namespace="decl-garden"):
        limit: ClassVar[int] = 3
        kinds: "ClassVar[tuple[str, ...]]" = ("herb", "tree")
        _seen: int
        plants: RedisHash[Plant]

    assert [*fields(Garden)] == ["plants"]
    assert Garden.limit == 3


def test_key_renames_the_tail_and_rkey_the_whole_key() -> None:
    """``key=`` stays behind the namespace; ``rkey=`` is the key."""

    class Garden(Store, namespace="decl-garden"):
        log: RedisList[str] = field(key="diary:2024")
        old: RedisHash[str] = field(rkey="redis_hash")

    assert Garden.log.key == "{decl-garden}:diary:2024"
    assert Garden.old.key == "redis_hash"


def test_ttl_of_the_field_wins_over_annotated_over_the_store() -> None:
    """Store default < ``Annotated[..., TTL(...)]`` < ``field(ttl=)``."""

    class Garden(Store, namespace="decl-garden", ttl=TTL(seconds=1)):
        plain: RedisHash[str]
        annotated: Annotated[RedisHash[str], TTL(seconds=2)]
        given: RedisHash[str] = field(ttl=TTL(seconds=3))
        both: Annotated[RedisHash[str], TTL(seconds=2)] = field(ttl=TTL(seconds=3))

    seconds = {name: spec.ttl and spec.ttl.duration.seconds for name, spec in fields(Garden).items()}
    assert seconds == {"plain": 1, "annotated": 2, "given": 3, "both": 3}


def test_subclasses_of_collections_are_collections(declare: Declare) -> None:
    """A user's subclass brings its types with it, wholly, in part, or through several classes."""
    module = declare(
        """
        V = TypeVar("V")
        class Plant(BaseModel): ...
        class PlantHash(RedisHash[Plant]): ...
        class ById(RedisHash[V, int], Generic[V]): ...
        class ListsById(ById[list[V]], Generic[V]): ...
        class Garden(Store, namespace="decl-sub"):
            plants: PlantHash
            by_id: ById[str]
            lists: ListsById[str]
        """
    )

    assert spec_of(module, "Garden", "plants").collection is module.PlantHash
    assert spec_of(module, "Garden", "plants").value_type is module.Plant
    assert spec_of(module, "Garden", "by_id").value_type is str
    assert spec_of(module, "Garden", "by_id").key_type is int
    assert spec_of(module, "Garden", "lists").value_type == list[str]
    assert spec_of(module, "Garden", "lists").key_type is int


# --- forward references -----------------------------------------------------------------------------


class Orchard(Store, namespace="decl-orchard"):
    """Names its model in every way that Python has before the model exists."""

    quoted: "RedisHash[Tree]"
    inner: RedisHash["Tree"]
    nested: RedisHash[list["Tree"]]
    annotated: "Annotated[RedisHash[Tree], TTL(hours=1)]"
    keyed: "RedisHash[Tree, int]"


class Tree(BaseModel):
    """Comes after the store."""

    name: str


def test_a_model_may_come_after_the_store() -> None:
    """Forward references are resolved when they are needed, whatever way they are written."""
    assert [spec.value_type for spec in fields(Orchard).values()] == [Tree, Tree, list[Tree], Tree, Tree]
    assert Orchard.annotated.ttl == TTL(hours=1)
    assert Orchard.keyed.key_type is int


def test_a_model_may_be_local_to_the_function() -> None:
    """A store in a function can name the function's models in quotes; the frame is not kept."""

    class Local(BaseModel):
        name: str

    class Garden(Store, namespace="decl-local"):
        plants: "RedisHash[Local]"
        inner: RedisHash["Local"]

    assert Garden.plants.value_type is Local
    assert Garden.inner.value_type is Local


def test_a_model_may_be_nested_in_the_store(declare: Declare) -> None:
    """Names of the class body are found first, and a field with the name of a type does not hide it."""
    module = declare(
        """
        class Garden(Store, namespace="decl-nested"):
            class Plant(BaseModel):
                name: str
            plants: "RedisHash[Plant]"
            list: RedisList[str]
            lists: "RedisHash[list[int]]" = field(key="x")
        """
    )

    assert spec_of(module, "Garden", "plants").value_type is module.Garden.Plant
    assert spec_of(module, "Garden", "lists").value_type == list[int]


def test_a_store_may_be_nested_in_a_class_in_a_function(declare: Declare) -> None:
    """Names are looked up through class bodies to the function around them."""
    module = declare(
        """
        def make():
            class Plant(BaseModel): ...
            class Outer:
                class Garden(Store, namespace="decl-outer"):
                    plants: "RedisHash[Plant]"
            return Outer.Garden, Plant
        Garden, Plant = make()
        """
    )

    assert spec_of(module, "Garden", "plants").value_type is module.Plant


@pytest.mark.rows(3)
@pytest.mark.parametrize(
    "annotation", ['"RedisHash[Later]"', 'RedisHash["Later"]', 'RedisHash[list["Later"]]', '"Later"']
)
async def test_a_name_that_never_comes_is_refused_at_the_first_instance(declare: Declare, annotation: str) -> None:
    """The class can be defined; binding it names the field, the name and where to define it."""
    from redis.asyncio import Redis

    module = declare(f"class Garden(Store, namespace='decl-never'):\n    plants: {annotation}")

    with pytest.raises(DeclarationError) as caught:
        module.Garden(Redis())

    assert str(caught.value).startswith("Garden.plants: the annotation ")
    assert "names 'Later', and there is no such name. Define it at module level, or before the store" in str(
        caught.value
    )
    assert "Later" in repr(module.Garden.plants)


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ('"list[Later]"', "list[Later] is not a Redis collection: declare RedisList[Later]"),
        (
            '"RedisHash[Later] | None"',
            "RedisHash[Later] | None is not a Redis collection: declare RedisHash[Later], because",
        ),
    ],
)
def test_what_is_no_collection_is_refused_although_names_are_missing(
    declare: Declare, annotation: str, why: str
) -> None:
    """Whether it is a collection is known at definition, even if what it holds is not."""
    with pytest.raises(DeclarationError, match=re.escape(f"Garden.plants: {why}")):
        declare(f"class Garden(Store, namespace='decl-shape'):\n    plants: {annotation}")


def test_the_structure_is_checked_although_names_are_missing(declare: Declare) -> None:
    """A hash of models to come is known to be a hash, which has not the options of a list."""
    with pytest.raises(
        DeclarationError,
        match=r"^Garden\.plants: RedisList\.field\(\) has the options of a RedisList, and this is a RedisHash",
    ):
        declare(
            """
            class Garden(Store, namespace="decl-early"):
                plants: "RedisHash[Later]" = RedisList.field(maxlen=3)
            """
        )


def test_annotations_that_are_evaluated_lazily(declare: Declare) -> None:
    """As Python 3.14 hands them over: what cannot be evaluated yet is a ``ForwardRef``, as a whole or inside."""
    module = declare(
        """
        from typing import ForwardRef
        class Part(Store):
            __annotations__ = {"log": ForwardRef("RedisList[Later]")}
        class Garden(Store, namespace="decl-lazy"):
            __annotations__ = {
                "whole": ForwardRef("RedisHash[Later]"),
                "inside": RedisHash[ForwardRef("Later")],
                "union": ForwardRef("RedisHash[Later | None, int]"),
                "timed": Annotated[RedisHash[ForwardRef("Later")], TTL(hours=1)],
                "part": ForwardRef("Part"),
                "limit": ForwardRef("ClassVar[int]"),
            }
            whole = field(key="w")
            limit = 3
        class Later(BaseModel):
            name: str
        """
    )
    garden = module.Garden(module.RedisClient())

    assert {path: spec.value_type for path, spec in fields(module.Garden).items()} == {
        "whole": module.Later,
        "inside": module.Later,
        "union": module.Later | None,
        "timed": module.Later,
        "part.log": module.Later,
    }
    assert garden.whole.rkey == "{decl-lazy}:w"
    assert garden.part.log.rkey == "{decl-lazy}:part:log"
    assert fields(module.Garden)["timed"].ttl == TTL(hours=1)


def test_a_model_with_an_open_forward_reference_can_be_declared(declare: Declare) -> None:
    """Pydantic's own forward references are waited for as well."""
    module = declare(
        """
        class Tree(BaseModel):
            fruits: "list[Fruit]"
        class Garden(Store, namespace="decl-open"):
            trees: RedisHash[Tree]
            lists: RedisHash[list[Tree]]
        class Fruit(BaseModel): ...
        """
    )

    assert spec_of(module, "Garden", "trees").value_type is module.Tree


# --- what is refused --------------------------------------------------------------------------------

WRONG = {
    "int": (
        "n: int",
        "Garden.n: int is not a Redis collection: declare RedisHash[int] or RedisList[int], or ClassVar[int]",
    ),
    "dict": (
        "n: dict[str, int]",
        "Garden.n: dict[str, int] is not a Redis collection: declare RedisHash[int], or ClassVar",
    ),
    "int dict": ("n: dict[int, bool]", "declare RedisHash[bool, int], or ClassVar"),
    "list": ("n: list[int]", "declare RedisList[int], or ClassVar[list[int]]"),
    "optional": (
        "n: Optional[RedisHash[int]]",
        "declare RedisHash[int], because an empty collection simply has no key",
    ),
    "none": ("n: None", "Garden.n: None is not a Redis collection"),
    "bare": ("n: RedisHash", "Garden.n: RedisHash does not say what it holds: write for example RedisHash[str]"),
    "bare list": ("n: RedisList", "write for example RedisList[str]"),
    "base": ("n: RedisKey", "Garden.n: RedisKey does not say what it holds: declare RedisHash[...]"),
    "assigned": (
        "n = RedisHash[int]",
        'Garden.n: RedisHash[int] is assigned, not declared: write n: RedisHash[int], with ":"',
    ),
    "assigned bare": ("n = RedisList", "Garden.n: RedisList is assigned, not declared"),
    "no annotation": (
        "n = RedisList.field(maxlen=3)",
        "Garden.n: field() without an annotation: write n: RedisHash[...] = field(...)",
    ),
    "value": (
        "n: RedisHash[int] = {}",
        "Garden.n: a field has no value in the class, but = {} gives it one: write n: RedisHash[",
    ),
    "none value": ("n: RedisHash[int] = None", "but = None gives it one"),
    "private": ("_n: RedisHash[int] = field()", "Garden._n: a name with an underscore in front is not a field"),
    "constant": ("n: ClassVar[int] = field()", "Garden.n: a ClassVar is not a field"),
    "ttl text": (
        "n: RedisHash[int] = field(ttl='60')",
        "Garden.n: ttl= is a TTL, a timedelta or a number of seconds, not '60': write for example ttl=TTL(seconds=60)",
    ),
    "ttl bool": (
        "n: RedisHash[int] = field(ttl=True)",
        "a number of seconds, not True: write for example ttl=TTL(hours=1)",
    ),
    "ttl zero": ("n: RedisHash[int] = field(ttl=0)", "Garden.n: ttl=0: a TTL must be between 1 ms and"),
    "ttl delta below": ("n: RedisHash[int] = field(ttl=timedelta(0))", "a TTL must be between 1 ms and"),
    "ttl annotated below": ("n: Annotated[RedisHash[int], timedelta(0)]", "a TTL must be between 1 ms and"),
    "ttl class": ("n: RedisHash[int] = field(ttl=TTL)", "Garden.n: ttl= is a TTL, a timedelta or a number of seconds"),
    "annotated class": ("n: Annotated[RedisHash[int], TTL]", "Garden.n: TTL in Annotated needs a duration"),
    "maxlen": (
        "n: RedisHash[int] = RedisList.field(maxlen=3)",
        "this is a RedisHash: write n: RedisHash[int] = RedisHash.field(...)",
    ),
    "maxlen 0": (
        "n: RedisList[int] = RedisList.field(maxlen=0)",
        "Garden.n: maxlen= must be an int of at least 1, not 0",
    ),
    "maxlen bool": (
        "n: RedisList[int] = RedisList.field(maxlen=True)",
        "Garden.n: maxlen= must be an int of at least 1, not True",
    ),
    "per item": (
        "n: RedisList[int] = field(ttl=TTL(hours=1, per_item=True))",
        "Garden.n: a RedisList has no time to live per item",
    ),
    "per item annotated": ("n: Annotated[RedisList[int], TTL(hours=1, per_item=True)]", "no time to live per item"),
    "key": ("n: RedisHash[int] = field(key='a b')", "Garden.n: key='a b' contains ' ', and only letters"),
    "key braces": ("n: RedisHash[int] = field(key='{a}')", "braces are reserved for the hash tag"),
    "key empty": ("n: RedisHash[int] = field(key='')", "Garden.n: key='' is empty: write for example key=\"n\""),
    "rkey empty": ("n: RedisHash[int] = field(rkey='')", "Garden.n: rkey= is empty"),
    "key and rkey": ("n: RedisHash[int] = field(key='a', rkey='b')", "Garden.n: key= renames the last part"),
    "codec": (
        "n: RedisHash[int] = field(codec=3)",
        "Garden.n: codec= must be a codec (encode and decode) or a function",
    ),
    "same key": (
        "n: RedisHash[int]\n    m: RedisHash[int] = field(key='n')",
        "Garden.n and Garden.m have the same Redis key '{decl-wrong}:n': give one of them another key=",
    ),
    "same rkey": (
        "n: RedisHash[int] = field(rkey='k')\n    m: RedisList[int] = field(rkey='k')",
        "Garden.n and Garden.m have the same Redis key 'k'",
    ),
    "rkey is key": (
        "n: RedisHash[int]\n    m: RedisHash[int] = field(rkey='{decl-wrong}:n')",
        "Garden.n and Garden.m have the same Redis key",
    ),
    "open": (
        "open: RedisHash[int]",
        "Garden.open: Store uses the name 'open' itself: choose another and keep the Redis key",
    ),
    "aclose": ("aclose: RedisHash[int]", 'for example aclose_: ... = field(key="aclose")'),
    "clear": ("clear: RedisHash[int]", 'for example clear_: ... = field(key="clear")'),
    "atomic": ("atomic: RedisHash[int]", "Garden.atomic: Store uses the name 'atomic' itself"),
    "type variable": (
        "n: RedisHash[TypeVar('T')]",
        "a field holds one concrete type: write a type, or make the store generic",
    ),
    "syntax": ("n: 'RedisHash['", "Garden.n: the annotation 'RedisHash[' cannot be evaluated"),
    "too many": ("n: 'RedisHash[int, str, int]'", "cannot be evaluated"),
    "list key": ("n: RedisHash[int, list[int]]", "Garden.n: list[int] cannot be a key type"),
    "dict key": ("n: RedisHash[int, dict[str, int]]", "cannot be a key type"),
    "set key": ("n: RedisHash[int, set[int]]", "cannot be a key type"),
    "tuple of lists key": ("n: RedisHash[int, tuple[list[int], int]]", "cannot be a key type"),
    "union key": ("n: RedisHash[int, 'list[int] | str']", "cannot be a key type"),
    "unknown to pydantic": ("class Odd: ...\n    n: RedisHash[Odd]", "Garden.n: "),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_field_is_refused_at_definition(declare: Declare, body: str, message: str) -> None:
    """What, where, why and the fix are in the error, before any instance exists."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"class Garden(Store, namespace='decl-wrong'):\n    {body}")

    assert message in str(caught.value)
    assert str(caught.value).startswith("Garden.")


KEYWORDS = {
    "misspelt": ("namespcae='g'", "Garden: unknown class keyword namespcae=: did you mean namespace=?"),
    "misspelt ttl": ("tll=TTL(hours=1)", "unknown class keyword tll=: did you mean ttl=?"),
    "unknown": (
        "colour='red'",
        "Garden: unknown class keyword colour=: a Store takes namespace=, ttl=, codec=, engine=",
    ),
    "empty": ("namespace=''", "Garden: namespace='' is empty: write for example namespace=\"garden\""),
    "bytes": ("namespace=b'g'", "Garden: namespace= must be a str, not b'g'"),
    "braces": ("namespace='{garden}:x-{y}'", "a placeholder is a whole part between colons"),
    "glob": ("namespace='g*'", "Garden: namespace='g*' contains '*'"),
    "ttl": ("namespace='g', ttl='1h'", "Garden: ttl= is a TTL, a timedelta or a number of seconds, not '1h'"),
    "codec": ("namespace='g', codec=3", "Garden: codec= of a class must be a function from a value type to its codec"),
    "engine": ("namespace='g', engine='fast'", 'Garden: engine= must be "auto", "shared" or "dedicated", not \'fast\''),
    "one codec": ("namespace='g', codec=codec_for(str)", "give one codec to one field with field(codec=...)"),
}


@pytest.mark.parametrize(("keywords", "message"), KEYWORDS.values(), ids=KEYWORDS.keys())
def test_a_wrong_class_keyword_is_refused(declare: Declare, keywords: str, message: str) -> None:
    """A keyword that is unknown or has a wrong value is refused with what to write."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"class Garden(Store, {keywords}): ...")

    assert message in str(caught.value)


def test_a_per_item_default_must_suit_all_fields(declare: Declare) -> None:
    """A store whose TTL is per item cannot have a list without a TTL of its own."""
    with pytest.raises(DeclarationError, match=r"^Garden\.log: a RedisList has no time to live per item"):
        declare(
            """
            class Garden(Store, namespace="decl-items", ttl=TTL(hours=1, per_item=True)):
                plants: RedisHash[str]
                log: RedisList[str]
            """
        )


def test_init_subclass_of_ones_own_takes_its_keywords(declare: Declare) -> None:
    """Keywords that purse does not know go to an ``__init_subclass__`` among the bases."""
    module = declare(
        """
        class Audited:
            def __init_subclass__(cls, *, audit=False, **rest):
                super().__init_subclass__(**rest)
                cls.audit = audit
        class Garden(Audited, Store, namespace="decl-audit", audit=True): ...
        """
    )

    assert module.Garden.audit is True


# --- inheritance ------------------------------------------------------------------------------------


def test_subclasses_inherit_fields_namespace_and_ttl() -> None:
    """A subclass has the fields of its base, under the same keys, and may add some."""

    class Garden(Store, namespace="decl-base", ttl=TTL(hours=1)):
        plants: RedisHash[Plant]

    class Big(Garden):
        log: RedisList[str]

    assert [*fields(Big)] == ["plants", "log"]
    assert Big.plants.key == Garden.plants.key == "{decl-base}:plants"
    assert Big.log.ttl == TTL(hours=1)
    assert Big.plants.owner is Big
    assert [*fields(Garden)] == ["plants"]


def test_a_namespace_of_its_own_moves_the_inherited_fields() -> None:
    """What a subclass says itself holds for everything in it."""

    class Garden(Store, namespace="decl-base", ttl=TTL(hours=1)):
        plants: RedisHash[Plant]

    class Other(Garden, namespace="decl-other", ttl=TTL(hours=2)):
        pass

    assert Other.plants.key == "{decl-other}:plants"
    assert Other.plants.ttl == TTL(hours=2)
    assert Garden.plants.key == "{decl-base}:plants"
    assert Garden.plants.ttl == TTL(hours=1)


def test_a_subclass_may_declare_a_field_anew() -> None:
    """The new annotation replaces the old one and its options, at its old place."""

    class Garden(Store, namespace="decl-base"):
        plants: RedisHash[str] = field(key="p")
        log: RedisList[str]

    class Other(Garden, namespace="decl-other"):
        plants: RedisHash[Plant]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]

    assert [*fields(Other)] == ["plants", "log"]
    assert Other.plants.value_type is Plant
    assert Other.plants.key == "{decl-other}:plants"


def test_mixins_come_in_the_order_of_method_resolution() -> None:
    """A class without a namespace lends its fields; of two with one name the first base wins."""

    class Logged(Store):
        log: RedisList[str]

    class Counted(Store):
        visits: RedisHash[int] = field(ttl=TTL(hours=1))
        log: RedisList[str] = RedisList.field(maxlen=7)

    class Garden(Logged, Counted, namespace="decl-mixed"):
        plants: RedisHash[Plant]

    assert {*fields(Garden)} == {"log", "visits", "plants"}
    assert Garden.log.options == {}
    assert Counted.log.options == {"maxlen": 7}
    assert Garden.visits.ttl == TTL(hours=1)
    assert Garden.visits.key == "{decl-mixed}:visits"
    assert "Counted.visits" in repr(Counted.visits)


def test_fields_of_a_mixin_have_no_keys_yet() -> None:
    """Without a namespace there is no key to tell."""

    class Logged(Store):
        log: RedisList[str]

    with pytest.raises(DeclarationError, match="Logged has no namespace"):
        _ = Logged.log.key


def test_two_namespaces_cannot_be_inherited() -> None:
    """Whose keys they would be is for the author to say."""

    class Garden(Store, namespace="decl-one"):
        plants: RedisHash[str]

    class Kitchen(Store, namespace="decl-two"):
        pots: RedisHash[str]

    with pytest.raises(DeclarationError, match=r"Both: inherits the namespaces .*decl-.*\(.*give it another"):

        class Both(Garden, Kitchen):  # pyright: ignore[reportUnusedClass]
            pass

    class Fine(Garden, Kitchen, namespace="decl-three"):
        pass

    assert Fine.pots.key == "{decl-three}:pots"


@pytest.mark.parametrize("body", ["plants = None", "def plants(self): ...", "plants: ClassVar[int] = 3"])
def test_a_field_cannot_be_hidden_by_something_else(declare: Declare, body: str) -> None:
    """A subclass cannot turn a field into a method or constant."""
    with pytest.raises(DeclarationError, match=r"^Other\.plants: .* hides the field Garden\.plants"):
        declare(
            f"""
            class Garden(Store, namespace="decl-hidden"):
                plants: RedisHash[str]
            class Other(Garden):
                {body}
            """
        )


def test_a_field_cannot_hide_a_method(declare: Declare) -> None:
    """A field with the name of a method of a base is refused, too."""
    with pytest.raises(DeclarationError, match=r"^Garden\.harvest: Base uses the name 'harvest' itself"):
        declare(
            """
            class Base(Store):
                def harvest(self): ...
            class Garden(Base, namespace="decl-method"):
                harvest: RedisHash[str]
            """
        )


# --- one namespace, one class -----------------------------------------------------------------------


def test_two_stores_cannot_claim_one_namespace() -> None:
    """Both classes are named, and what to do."""

    class Garden(Store, namespace="decl-claimed"):
        plants: RedisHash[str]

    with pytest.raises(DeclarationError) as caught:

        class Other(Store, namespace="decl-claimed"):  # pyright: ignore[reportUnusedClass]
            pass

    message = str(caught.value)
    assert f"{__name__}.{Garden.__qualname__}" in message
    assert f"{__name__}.test_two_stores_cannot_claim_one_namespace.<locals>.Other" in message
    assert "another, or inherit it: class Other(Garden)" in message


def test_the_same_class_may_be_defined_again() -> None:
    """A reload, a notebook cell or a function that is called twice defines the same class anew."""

    def define() -> type[Store]:
        class Garden(Store, namespace="decl-again"):
            plants: RedisHash[str]

        return Garden

    first, second = define(), define()

    assert first is not second


def test_a_subclass_may_repeat_the_namespace() -> None:
    """Saying the inherited namespace again claims nothing new."""

    class Garden(Store, namespace="decl-repeat"):
        plants: RedisHash[str]

    class Bigger(Garden, namespace="decl-repeat"):
        pass

    assert Bigger.plants.key == Garden.plants.key


def test_a_class_that_is_gone_has_given_its_namespace_back() -> None:
    """The registry keeps no class alive."""

    def define() -> str:
        class Garden(Store, namespace="decl-gone"):
            plants: RedisHash[str]

        return Garden.plants.key

    gc.disable()  # the class is a reference cycle: only the claim itself may collect it
    try:
        key = define()

        class Other(Store, namespace="decl-gone"):
            plants: RedisHash[int]
    finally:
        gc.enable()

    assert Other.plants.key == key


def test_a_class_that_failed_has_claimed_nothing(declare: Declare) -> None:
    """After an error the corrected class can take the namespace."""
    with pytest.raises(DeclarationError):
        declare("class Garden(Store, namespace='decl-failed'):\n    n: int")

    declare("class Other(Store, namespace='decl-failed'):\n    n: RedisHash[int]")
