"""Namespaces, tails and keys: what is allowed, what is refused, and what the refusal suggests."""

from __future__ import annotations

import re

import pytest

from purse._keys import check_name, check_rkey, key_of
from purse.errors import DeclarationError


def test_the_namespace_is_the_hash_tag() -> None:
    """All keys of a namespace share one hash tag, so that a cluster keeps them on one node."""
    assert key_of("garden", "plants") == "{garden}:plants"


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
    assert message.endswith(f'write e.g. namespace="{suggestion}"')
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
    with pytest.raises(DeclarationError, match=re.escape(f'a str, not {name!r}; write namespace="garden"')):
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
