"""Job ids: ULIDs, so that ids sort by the time they were made and two processes never make the same one."""

from __future__ import annotations

import os
import threading
from typing import Final

from naq import clock

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as the ULID specification asks
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM_BITS: Final = 80
_lock = threading.Lock()
_last_ms = -1
_last_random = 0


def new_id() -> str:
    """A new ULID: 26 characters, 48 bits of milliseconds and 80 of randomness.

    Ids made by one process within a millisecond count upwards, so they sort in the order they were made.
    """
    global _last_ms, _last_random
    with _lock:
        ms = int(clock.now() * 1000)
        if ms == _last_ms:
            _last_random += 1
        else:
            _last_ms = ms
            # One bit less than there is room for, so that counting up cannot overflow.
            _last_random = int.from_bytes(os.urandom(10), "big") >> 1
        value = (ms << _RANDOM_BITS) | _last_random
    pairs = _PAIRS
    return "".join([pairs[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def _forget() -> None:
    global _last_ms, _lock
    _last_ms, _lock = -1, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
