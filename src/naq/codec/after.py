"""Whom a job waits for, as it stands in its envelope, and the results that go into its arguments.

A job's parents are part of the job itself, so there is nothing beside it that could say otherwise. Many ids are packed:
50,000 of them have to fit into a payload.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder, Encoder

from naq.codec.values import READ_ERRORS
from naq.exceptions import SerializationError
from naq.names import is_token

ParentFailure = Literal["fail", "run_anyway", "cancel"]
PARENT_FAILURES: Final[tuple[ParentFailure, ...]] = ("fail", "run_anyway", "cancel")
MAX_PARENTS: Final = 100_000  # of one job; with ids of the usual length, 60,000 are what a payload of 1 MiB holds
ALL: Final = "*"  # in `fill`: the results of all parents, in their order
FIRST: Final = "?"  # in `fill`: the result of the parent that succeeded first
MAX_SHOWN: Final = 100  # parents that records and views name; all are in the job itself
_PLAIN: Final = 64  # ids up to which they are listed as they are, for people and other languages
_LEVEL: Final = 6  # of compression
_LONGEST: Final = 65  # bytes of an id and what separates it from the next

_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
_Source = Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{1,64}|\*|\?)\Z")]
_Place = Annotated[str, Meta(min_length=1, max_length=200)]

_encode: Final = Encoder().encode
_split: Final = Decoder(list[Raw]).decode
_split_named: Final = Decoder(dict[str, Raw]).decode
_NULL: Final = Raw(b"null")


class After(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Whom a job waits for.

    Attributes:
        ids: the parents; empty where there are many.
        packed: many of them: joined by spaces, compressed with zlib, as base64.
        policy: what becomes of the job when one of them does not succeed: it fails, runs all the same, or is
            cancelled.
        any: whether the first parent that succeeds is enough.
        fill: where results go: a position (``"0"``) or the name of a parameter -> a parent's id, a list of ids,
            ``"*"`` for the results of all parents in their order, or ``"?"`` for that of the first to succeed. The
            argument itself is null in the message; the result of a parent that did not succeed is null, too.
    """

    ids: list[_Id] = []
    packed: str = ""
    policy: ParentFailure = "fail"
    any: bool = False
    fill: dict[_Place, _Source | list[_Id]] = {}


def make_after(
    parents: Sequence[str], *, policy: ParentFailure, any_of: bool, fill: Mapping[str, str | list[str]]
) -> After:
    """What says that a job waits for `parents` (each once, in their order)."""
    if len(parents) <= _PLAIN:
        return After(ids=list(parents), policy=policy, any=any_of, fill=dict(fill))
    packed = binascii.b2a_base64(zlib.compress(" ".join(parents).encode(), _LEVEL), newline=False).decode()
    return After(packed=packed, policy=policy, any=any_of, fill=dict(fill))


def parents_of(after: After) -> list[str]:
    """The ids of the parents, each once, in their order.

    Raises:
        SerializationError: what is packed cannot be read, holds no ids, or too many.
    """
    if not after.packed:
        return list(dict.fromkeys(after.ids))
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(binascii.a2b_base64(after.packed, strict_mode=True), MAX_PARENTS * _LONGEST)
        ids = text.decode("ascii").split(" ")
    except (zlib.error, binascii.Error, UnicodeError, ValueError) as error:
        raise SerializationError(f"malformed job: its parents cannot be unpacked: {error}") from error
    if not unpacking.eof or len(ids) > MAX_PARENTS:
        raise SerializationError(f"malformed job: it has more than {MAX_PARENTS} parents")
    if not all(map(is_token, ids)):
        raise SerializationError("malformed job: what its parents unpack to are no job ids")
    return list(dict.fromkeys([*after.ids, *ids]))


def some_parents(after: After | None, limit: int) -> list[str]:
    """At most `limit` of the ids, for people; none where they cannot be read."""
    if after is None:
        return []
    try:
        return parents_of(after)[:limit]
    except SerializationError:
        return []


def fill_in(args: Raw, kwargs: Raw, values: Mapping[str, Raw]) -> tuple[Raw, Raw]:
    """`args` and `kwargs`, a JSON array and object, with `values` by position (``"0"``) or name in their places.

    Raises:
        SerializationError: there is no such position, or they are no array and object.
    """
    try:
        positional, named = _split(args), _split_named(kwargs)
    except READ_ERRORS as error:
        raise SerializationError(f"its arguments cannot be read: {error}") from error
    for place, value in values.items():
        if not place.isdigit():
            named[place] = value
        elif int(place) < len(positional):
            positional[int(place)] = value
        else:
            raise SerializationError(f"a result is to be argument {place}, and there are {len(positional)}")
    return Raw(_encode(positional)), Raw(_encode(named))


def as_array(results: Sequence[Raw | None]) -> Raw:
    """`results` as a JSON array; None as null."""
    return Raw(_encode([_NULL if result is None else result for result in results]))
