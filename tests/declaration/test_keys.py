"""Namespaces, tails and keys: what is allowed, what is refused, and what the refusal suggests."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from purse._coordination.beside import beside
from purse._declaration.keys import Slots, check_name, check_rkey, entries_of, key_of, namespace_of
from purse.errors import DeclarationError


def test_the_namespace_is_the_hash_tag() -> None:
    """All keys of a namespace share one hash tag, so that a cluster keeps them on one node."""
    assert key_of("garden", "plants") == "{garden}:plants"


def test_how_much_is_in_the_tag_is_declared() -> None:
    """A store, a field, or an entry; the namespace ends with the tag or with two colons."""
    assert key_of("a:b", "c:d", "field") == "{a:b::c:d}"
    assert entries_of("a:b", "c:d") == ("{a:b}:c:d:", "")
    assert entries_of("a:b", "c:d", "field") == ("{a:b::c:d}:", "")
    assert entries_of("a:b", "c:d", "key") == ("a:b::c:d:{", "}")


@pytest.mark.parametrize("entry", ["", "k", "}", "{", "::", "}:x:{", "x}", ":{"])
def test_the_namespace_can_be_read_off_a_key(entry: str) -> None:
    """Whatever an entry contains."""
    for slots in ("store", "field", "key"):
        begin, end = entries_of("a:b", "c:d", slots)
        assert namespace_of(f"{begin}{entry}{end}") == ("a:b", True)
        if slots != "key":
            assert namespace_of(key_of("a:b", "c:d", slots)) == ("a:b", True)


@pytest.mark.parametrize("key", ["", "a", "a:b", "a:b:", "{", "{a:b", "{a:b:"])
def test_a_namespace_may_go_on_behind_the_end(key: str) -> None:
    """What has no end of a namespace may be the beginning of a longer one."""
    assert namespace_of(key) == (key.removeprefix("{"), False)


KEYS = st.text(st.sampled_from("ab{}!:"), max_size=6)


@given(KEYS, KEYS, st.sampled_from(["fence", "queue"]))
@example("gate", "{gate}", "fence")
@example("{gate}", "!{gate}", "fence")
def test_no_two_keys_have_one_beside_them_in_common(one: str, other: str, what: str) -> None:
    """Different keys, different keys beside them; nor is it the key that something else is beside."""
    assert (beside(one, "fence") == beside(other, what)) == (one == other and what == "fence")


@given(st.text(st.sampled_from("ab:"), min_size=1), st.sampled_from(["store", "field", "key"]))
def test_what_is_beside_a_key_is_no_key_of_a_store(name: str, slots: Slots) -> None:
    """It begins with a name and "!", which are in no namespace."""
    begin, end = entries_of("a", "b", slots)
    beside_it = beside(f"{begin}{name}{end}", "fence")

    assert beside_it == f"fence!{begin}{name}{end}"
    assert not beside_it.startswith(begin)


@pytest.mark.parametrize("name", ["garden", "a", "a:b", "prod.garden-2", "eu/garden_1", "Сад", "庭", "jardín", "๑ต้นไม้"])
def test_letters_digits_and_separators_are_names(name: str) -> None:
    """Letters and digits of every script and ``_ . : - /`` make a name."""
    assert check_name(name, "Garden", "namespace", "garden") == name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("", "garden"),
        (" ", "garden"),
        ("my garden", "my-garden"),
        ("garden\n", "garden"),
        ("gar\x00den", "gar-den"),
        ("gar\u200bden", "gar-den"),
        ("gar\u202eden", "gar-den"),
        ("\udc80garden", "garden"),
        ("garden*", "garden"),
        ("garden?", "garden"),
        ("fence!garden", "fence-garden"),
        ("!", "garden"),
        ("garden[1]", "garden-1"),
        ("gar\\den", "gar-den"),
        (":garden", "garden"),
        ("garden:", "garden"),
        ("my::garden", "my:garden"),
        ("::", "garden"),
        ("{garden}", "garden"),
        ("user:{user_id}", "user:user_id"),
    ],
)
def test_hostile_names_are_refused_with_a_clean_spelling(name: str, suggestion: str) -> None:
    """A name that would change patterns, hash tags or what one sees is refused, and a similar one is suggested."""
    with pytest.raises(DeclarationError) as caught:
        check_name(name, "Garden", "namespace", "garden")

    message = str(caught.value)
    assert message.startswith(f"Garden: namespace={name!r} ")
    assert message.endswith(f'write for example namespace="{suggestion}"')
    assert check_name(suggestion, "Garden", "namespace", "garden") == suggestion
    assert message.isprintable()


@pytest.mark.parametrize("name", ["{garden}", "user:{user_id}", "{", "a}b"])
def test_braces_are_reserved_for_the_hash_tag(name: str) -> None:
    """A brace in a name would move the hash tag; the message says what braces are for."""
    with pytest.raises(DeclarationError, match="braces are reserved for the hash tag"):
        check_name(name, "Garden", "namespace", "garden")


@pytest.mark.parametrize("name", [None, 42, b"garden", ["garden"]])
def test_a_name_is_a_str(name: object) -> None:
    """Whatever is no str is refused and shown."""
    with pytest.raises(DeclarationError, match=re.escape(f'a str, not {name!r}: write namespace="garden"')):
        check_name(name, "Garden", "namespace", "garden")


@pytest.mark.parametrize("rkey", ["redis_hash", "{a}:b", "with space*", "\x00", ":"])
def test_a_whole_key_is_used_as_it_is(rkey: str) -> None:
    """``rkey`` addresses keys that exist already, so every text that can be encoded will do."""
    assert check_rkey(rkey, "Garden.plants") == rkey


@pytest.mark.parametrize(("rkey", "why"), [("", "is empty"), (b"k", "not b'k'"), ("\ud800", "no UTF-8 form")])
def test_a_whole_key_is_text_that_can_be_encoded(rkey: object, why: str) -> None:
    """An empty key, bytes, and lone surrogates are refused."""
    with pytest.raises(DeclarationError, match=rf"^Garden\.plants: rkey=.*{re.escape(why)}"):
        check_rkey(rkey, "Garden.plants")
