"""Cursors and CSRF tokens: text that only this server can have made, whatever replica."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final

import msgspec

from naq import clock
from naq.server.problems import Problem

_MAC: Final = 16  # bytes of HMAC-SHA256 that are kept: 128 bits are out of anybody's reach
_BAD: Final = "it was not made by this server, is damaged, or too old: begin at the first page"
LONGEST: Final = 2048  # characters of a cursor


class Signer:
    """Signs with `secret`."""

    def __init__(self, secret: str, *, ttl: float) -> None:
        self._key: Final = hashlib.sha256(secret.encode()).digest()
        self._ttl: Final = ttl

    def mac(self, purpose: str, data: bytes) -> bytes:
        """The signature of `data` for `purpose`; that for another purpose is another."""
        return hmac.new(self._key, purpose.encode() + b"\0" + data, hashlib.sha256).digest()[:_MAC]

    def cursor(self, about: str, place: Any) -> str:
        """An opaque cursor to `place` of the list that `about` says (its filter, its sort)."""
        data = msgspec.json.encode([int(clock.now()), _digest(about), place])
        return base64.urlsafe_b64encode(self.mac("cursor", data) + data).rstrip(b"=").decode()

    def place(self, cursor: str, about: str) -> Any:
        """What `cursor` was made of.

        Raises:
            Problem: ``cursor_invalid``, or ``cursor_mismatch`` where it is of another list.
        """
        try:
            raw = base64.b64decode(cursor[:LONGEST] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _bad("cursor_invalid", _BAD) from None
        sig, data = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(sig, self.mac("cursor", data)):
            raise _bad("cursor_invalid", _BAD)
        at, digest, place = msgspec.json.decode(data)
        if at + self._ttl < clock.now():
            raise _bad("cursor_invalid", _BAD)
        if digest != _digest(about):
            raise _bad("cursor_mismatch", "filter or sort are not those that it was made with: begin at the first page")
        return place

    def csrf(self, token: str) -> str:
        """What a page has to send along with the writes of the session `token`."""
        return self.mac("csrf", token.encode()).hex()


def _digest(about: str) -> str:
    return hashlib.blake2b(about.encode(), digest_size=9).hexdigest()


def _bad(code: str, message: str) -> Problem:
    return Problem(code, message, errors=[{"pointer": "/query/cursor", "code": code, "message": message}])
