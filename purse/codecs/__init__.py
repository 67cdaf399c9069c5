"""Codecs: how one value becomes the bytes that Redis stores, and back.

A collection has one codec for its values, and a canonical one wherever the server compares bytes (hash keys, members
of sets and sorted sets). Unless a store or a field declares its own:

    declared type             stored as
    str                       spinach                                     UTF-8, raw
    bytes                     \\x00\\xff                                    raw
    int, float, bool          3   9.8   true                              what INCRBY and INCRBYFLOAT read
    Plant | None              null
    Plant                     {"name":"spinach","healthiness":9.8}        pydantic JSON, by field name
    dict, list, Any           {"name":"spinach"}                          the same JSON, written by orjson

**What is written comes back.** A value is encoded, the bytes are validated as the declared type, and the result must
have the same type and the same state as the value, whatever an ``__eq__`` of the user's says (``_sameness`` defines
it), or the write is an ``EncodeError`` and nothing is sent. Only an int may be given for a float.

The price, beside the encoding: each write also pays for one read. For a small model that is about 1.5
microseconds more, for ``str`` and ``bytes`` nothing.

Where what is done:

    _binding                which codec a collection gets, and what a codec of the user's has to prove
    _value_codecs           what a codec is, and those of raw text and bytes
    _json_codecs            JSON, JSON in one order, JSON in its canonical form
    _adapters               pydantic's side of a type: its validator and its schema
    _plain                  which values need no second look, as they come back equal for certain
    _plain_json             plain JSON, written and read by orjson
    _canonical              one sequence of bytes for equal values, where the server compares bytes
    _sameness               whether what came back is the same, by state and not by ``==``
    _same_scalars, _state   what that means for numbers, texts and times, and for instances
    _unset                  whether fields that were not set can be left out
    _difference             the first place where two values differ
    _codec_types            what a codec says it stores
    _type_names             what a type is called, and what it is at the core
    _type_caches            caches by type
    _wording                what is wrong with a value, and the fix
    _shown                  how anything that came from outside stands in a text
"""

from purse.codecs._binding import CodecFactory, Json, codec_for
from purse.codecs._shown import hide_values
from purse.codecs._value_codecs import Codec

__all__ = ["Codec", "CodecFactory", "Json", "codec_for", "hide_values"]
