"""Keys for signing and encryption: how they are written in settings, and what a list of them means.

A key is written ``id:secret``, the secret in base64. The first of a list is the one to write with, all of them are
accepted. The word ``none`` in a list also accepts what carries no key at all, for as long as a rollout takes; where it
stands first, nothing is signed or encrypted yet.
"""

from __future__ import annotations

import binascii
import re
from typing import Final, cast

from msgspec import Struct

#: Bytes of a secret at least: as many as HMAC-SHA256 and AES-256 are worth.
SECRET_BYTES: Final = 32
#: Stands in a list of keys for "no key".
NO_KEY: Final = "none"
_KEY: Final = re.compile(r"([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]{43,1024}={0,2})", re.ASCII)
_URL_SAFE: Final = str.maketrans("-_", "+/")

EXPECTED: Final = (
    f"keys as 'id:secret', a list or separated by commas, the secret at least {SECRET_BYTES} random bytes in base64 "
    "(docs/signing.md has a command that makes one), each id once"
)


class Key(Struct, frozen=True):
    """One key. Its repr does not show the secret."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("id", self.id)]


class Keyring(Struct, frozen=True):
    """What a list of keys says.

    Attributes:
        first: the key to write with; None: write without.
        by_id: every key that is accepted.
        optional: whether what carries no key is accepted as well.
    """

    first: Key | None
    by_id: dict[str, Key]
    optional: bool

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.by_id)})"


def read_keys(value: object) -> tuple[str, ...]:
    """`value`, a list of keys or text that is one, as the setting holds it.

    Raises:
        ValueError: an entry that is no key, an id that occurs twice, or ``none`` alone.
    """
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError
    entries = cast("list[object]", value)
    if not all(isinstance(entry, str) for entry in entries):
        raise ValueError
    texts = tuple(cast("list[str]", entries))
    keyring(texts)
    return texts


def keyring(texts: tuple[str, ...]) -> Keyring | None:
    """The keys that `texts` are; None where there are none.

    Raises:
        ValueError: as `read_keys`.
    """
    if not texts:
        return None
    keys = [_parse(text) for text in texts if text != NO_KEY]
    by_id = {key.id: key for key in keys}
    if not keys or len(by_id) != len(keys):
        raise ValueError
    return Keyring(None if texts[0] == NO_KEY else keys[0], by_id, NO_KEY in texts)


def _parse(text: str) -> Key:
    found = _KEY.fullmatch(text)
    if found is None:
        raise ValueError
    encoded = found[2].rstrip("=").translate(_URL_SAFE)
    secret = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    if len(secret) < SECRET_BYTES:
        raise ValueError
    return Key(found[1], secret)
