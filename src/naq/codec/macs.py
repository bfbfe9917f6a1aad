"""Signatures: HMAC-SHA256 under keys with ids. The first key signs, every key is accepted."""

from __future__ import annotations

import hmac
from typing import Final

from naq.config.keys import Keyring
from naq.exceptions import SerializationError

#: Characters of a signature at most: the key's id, a colon, 32 bytes in hexadecimal.
LENGTH: Final = 32 + 1 + 64


def sign(keys: Keyring, place: bytes, text: bytes) -> str:
    """The signature of `text` in its `place`: ``id:hex``. There must be a first key."""
    key = keys.first
    assert key is not None, "asked before"
    return f"{key.id}:{_mac(key.secret, place, text)}"


def check(keys: Keyring, place: bytes, text: bytes, signature: str) -> None:
    """Accept `signature`.

    Raises:
        SerializationError: it was made with a key that is not in `keys`, for another text, or for another place.
    """
    key_id, _, given = signature.partition(":")
    key = keys.by_id.get(key_id)
    if key is None:
        raise SerializationError(f"it is signed with the key {key_id[:40]!r}, which is not among signing_keys here")
    if not hmac.compare_digest(_mac(key.secret, place, text).encode(), given.encode(errors="replace")):
        raise SerializationError(
            f"its signature (key {key_id!r}) is wrong: it was changed, or signed for another job, queue or namespace"
        )


def _mac(secret: bytes, place: bytes, text: bytes) -> str:
    return hmac.digest(secret, place + text, "sha256").hex()
