"""Codecs of the user's: put under the write rule, with their exceptions turned into purse's."""

from __future__ import annotations

import zlib
from typing import Any, Generic, cast

import pytest

from purse.codecs import Codec, codec_for, hide_values
from purse.codecs._binding import bind_codec, canonical_codec_for, checked
from purse.errors import CodecError, DeclarationError, DecodeError, EncodeError
from tests.support.values import (
    FANCY,
    PLANT,
    Alien,
    Plant,
    T,
    mutated,
)


class Zipped(Generic[T]):
    """A wrapper that compresses, and a factory: its constructor takes the type."""

    def __init__(self, value_type: type[T]) -> None:
        self.inner = codec_for(value_type)

    def encode(self, value: T, /) -> bytes:
        return zlib.compress(self.inner.encode(value))

    def decode(self, raw: bytes, /) -> T:
        return self.inner.decode(zlib.decompress(raw))


class Scripted:
    """A codec that does what the test says."""

    def __init__(self, raw: object = b"raw", back: object = None) -> None:
        self.raw, self.back = raw, back

    def encode(self, value: object, /) -> bytes:
        if isinstance(self.raw, Exception):
            raise self.raw
        return cast("bytes", self.raw)

    def decode(self, raw: bytes, /) -> Any:
        if isinstance(self.back, Exception):
            raise self.back
        return self.back


def test_a_custom_codec_round_trips() -> None:
    """A wrapper around the default codec stores and reads, and reports the inner codec's reasons as they are."""
    codec = checked(Zipped(Plant), Plant)
    raw = codec.encode(PLANT)

    assert zlib.decompress(raw) == codec_for(Plant).encode(PLANT)
    assert codec.decode(raw) == PLANT
    assert codec.also_stored_as(PLANT) == ()
    with pytest.raises(EncodeError, match=r"^field 'healthiness': Input should be a valid number"):
        codec.encode(mutated(healthiness="bad"))
    with pytest.raises(DecodeError, match=r"^does not hold a valid Plant: name: Field required\.(\n|$)") as caught:
        codec.decode(zlib.compress(b"{}"))
    assert caught.value.raw == zlib.compress(b"{}")
    with pytest.raises(DecodeError, match="does not hold a valid Plant: error: Error -3") as caught:
        codec.decode(b"{}")
    assert isinstance(caught.value.__cause__, zlib.error)


@pytest.mark.parametrize(
    ("codec", "value", "reason"),
    [
        (Scripted(), {"name": "x"}, "expected Plant, got dict."),
        (Scripted(OSError("disk")), PLANT, r"^Scripted could not encode it: OSError: disk\.(\n|$)"),
        (Scripted(b"raw", OSError("disk")), PLANT, "Scripted cannot read back what it wrote: .*OSError: disk"),
        (Scripted("text", PLANT), PLANT, "Scripted.encode returned str: return bytes."),
        (Scripted(b"raw", FANCY), PLANT, "would come back as"),
        (Scripted(b"raw", mutated(tasty=False)), PLANT, "at tasty: True would come back as False"),
        (Scripted(b"raw", PLANT), FANCY, "FancyPlant is a subclass of Plant"),
    ],
)
def test_a_custom_codec_is_checked(codec: Codec[Any], value: Any, reason: str) -> None:
    """A codec of the user's that fails, or does not bring the value back, stores nothing."""
    with pytest.raises(EncodeError, match=reason):
        checked(codec, Plant).encode(value)


def test_a_custom_codec_returns_what_is_declared() -> None:
    """What a codec of the user's decodes must be an instance of the declared type."""
    with pytest.raises(DecodeError, match="does not hold a valid Plant: Scripted decoded dict"):
        checked(Scripted(back={}), Plant).decode(b"raw")


def test_a_custom_codec_may_store_what_pydantic_cannot() -> None:
    """With a codec of the user's the value type may be any class, and a subclass that comes back is no loss."""
    alien = Alien()
    assert checked(Scripted(b"raw", alien), Alien).encode(alien) == b"raw"
    assert checked(Scripted(b"raw", FANCY), Plant).encode(FANCY) == b"raw"


def test_random_bytes_are_no_key() -> None:
    """Where the server compares bytes, a codec that writes one value in two ways is refused."""

    class Salted(Scripted):
        def encode(self, value: object, /) -> bytes:
            self.salt = getattr(self, "salt", 0) + 1
            return bytes([self.salt])

    assert checked(Salted(back="x"), str).encode("x")
    with pytest.raises(EncodeError, match="Salted does not encode equal values to equal bytes"):
        checked(Salted(back="x"), str, canonical=True).encode("x")


def test_bind_codec_takes_a_codec_a_factory_or_nothing() -> None:
    """``codec=`` is a codec, a class or function that makes one from the value type, or left out."""
    zipped = codec_for(Plant), checked(Zipped(Plant), Plant)
    for codec, like in (
        (None, zipped[0]),
        (codec_for, zipped[0]),
        (codec_for(Plant), zipped[0]),
        (Zipped(Plant), zipped[1]),
        (Zipped, zipped[1]),
    ):
        bound = bind_codec(Plant, cast("Codec[Plant] | None", codec))
        assert bound.encode(PLANT) == like.encode(PLANT)
    assert bind_codec(Plant, codec_for) is codec_for(Plant)
    assert bind_codec(Plant, codec_for, canonical=True) is canonical_codec_for(Plant)
    with pytest.raises(DeclarationError, match="codec= must be a codec or a function"):
        bind_codec(Plant, cast("Codec[Plant]", 3))
    with pytest.raises(DeclarationError, match=r"returned .* for Plant: return an object with encode"):
        bind_codec(Plant, cast("Codec[Plant]", str))


def test_hidden_values_are_not_in_a_custom_codecs_errors(request: pytest.FixtureRequest) -> None:
    """What a codec of the user's says is hidden, too."""
    hide_values()
    request.addfinalizer(lambda: hide_values(False))
    for error in (OSError("hunter2"), EncodeError("hunter2"), DecodeError("hunter2")):
        for codec in (Scripted(error), Scripted(b"raw", error)):
            with pytest.raises(CodecError) as caught:
                checked(codec, Plant).encode(PLANT)
            assert "hunter" not in str(caught.value)
            assert type(error).__name__ in str(caught.value)
            assert caught.value.__cause__ is None
        with pytest.raises(DecodeError) as caught:
            checked(Scripted(b"raw", error), Plant).decode(b"x")
        assert "hunter" not in str(caught.value)
