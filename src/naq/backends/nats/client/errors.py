"""What the broker says when it refuses, and what that is in naq's words: the one place that maps foreign errors."""

from __future__ import annotations

from typing import Final

import msgspec

from naq.exceptions import BackendError, ConfigurationError, NaqBackpressureError, NaqException

# JetStream error codes (server/errors.json). Only those that naq acts on are named.
WRONG_LAST_SEQUENCE: Final = 10071
CAS_IN_FLIGHT: Final = 10164  # a rival is uncommitted on a replicated stream
NO_MESSAGE: Final = 10037
STREAM_NOT_FOUND: Final = 10059
CONSUMER_NOT_FOUND: Final = 10014
STREAM_EXISTS: Final = 10058  # ... with another configuration
DELETE_MISSING: Final = frozenset({10057, 10043})  # on one server, and on a replicated stream
_FULL: Final = frozenset({10002, 10023, 10077, 10047, 10028, 10054})  # 10002: the account is at its limit
_WILL_PASS: Final = frozenset({10008, 10158, 10009, 10005})  # leaderless, in process, offline, no peers yet
_MISUSE: Final = frozenset({10052, 10189, 10190, 10223, 10100, 10084, 10074, 10065})
_OFF: Final = frozenset({10039, 10076})  # JetStream is off for the account, or for the server


class Refusal(msgspec.Struct, frozen=True):
    """An error as the JetStream API words it."""

    code: int = 0
    err_code: int = 0
    description: str = ""

    @property
    def will_pass(self) -> bool:
        """Whether the same request may succeed a moment later."""
        if self.err_code in _FULL or self.err_code in _OFF:
            return False
        return self.err_code in _WILL_PASS or self.code in {429, 503}


class _Envelope(msgspec.Struct, frozen=True):
    error: Refusal | None = None


class Conflict(NaqException):
    """A compare-and-set did not match. Never leaves the backend.

    Attributes:
        first_try: nothing of ours was sent before, so the rival is somebody else.
    """

    first_try = True


_decode = msgspec.json.Decoder(_Envelope).decode


def is_no_responders(header: bytes) -> bool:
    """Whether this header block says that nobody listens on the subject."""
    return header[8:12] == b" 503"


def find_refusal(payload: bytes) -> Refusal | None:
    """The refusal in a reply, or None if it has none."""
    return _decode(payload).error


def refusal(payload: bytes) -> Refusal:
    """The refusal in a reply that has one."""
    return _decode(payload).error or Refusal(500, 0, "the broker refused without a reason")


def as_exception(error: Refusal) -> NaqException:
    """The exception that callers see."""
    said = f"{error.description} ({error.err_code})"
    if error.err_code in {WRONG_LAST_SEQUENCE, CAS_IN_FLIGHT}:
        return Conflict(said)
    if error.err_code in _FULL:
        return NaqBackpressureError(f"the broker is full: {said}. Nothing was stored; free space or try again later")
    if error.err_code in _OFF:
        return ConfigurationError(f"JetStream is off at the broker: {said}. Enable it for the server and this account")
    if error.err_code in _MISUSE:
        return ConfigurationError(f"the broker refused the request as wrong: {said}")
    return BackendError(f"the broker refused: {said}")
