"""The claims of a worker process, where they outlive it: whoever takes its place hands them back at once.

A process that is killed can tell nobody what it held. So a worker that has a supervisor writes the receipts of the
claims whose jobs run into memory that it shares with it, and the process that follows reads them there: the supervisor
hands the same ledger on once it knows that the one before is dead.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Mapping
from typing import Final, NamedTuple

from naq import clock
from naq.worker.flights import Flight

#: The variable by which a supervisor tells a worker process the number of its ledger's open file.
VARIABLE: Final = "_NAQ_LEDGER"
#: Bytes of an entry, whose receipt (some 100) is left out if it does not fit, and how many there are. Where more jobs
#: run at once, those above wait for their leases.
_ENTRY, _ENTRIES = 256, 1024
_SIZE: Final = _ENTRY * _ENTRIES
_LENGTH: Final = struct.Struct("<H")  # 0: nothing is there. Written last, and wiped first
_DEADLINE: Final = struct.Struct("<d")
_DEADLINE_AT, _TEXT_AT = 2, 10
_ROOM: Final = _ENTRY - _TEXT_AT
_WHO: Final = 0  # the entry that says whose claims these are


class Left(NamedTuple):
    """What a dead worker left: its id, and the receipts of its claims by the monotonic seconds at which they end."""

    worker: str
    claims: Mapping[bytes, float]

    def held(self) -> list[bytes]:
        """The claims that cannot have lapsed yet."""
        now = clock.monotonic()
        return [receipt for receipt, deadline in self.claims.items() if now < deadline]


def create() -> int:
    """A new ledger: an open file, for one worker process after the other. It is gone when nobody has it open."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("naq-ledger")
    else:
        with tempfile.TemporaryFile() as named:
            file = os.dup(named.fileno())
    os.ftruncate(file, _SIZE)
    return file


def variable(ledger: int) -> dict[str, str]:
    """What a worker process needs in its environment to find `ledger`, which must be open in it."""
    return {VARIABLE: str(ledger)}


def take() -> Ledger | None:
    """The ledger of this process, or None if it was given none. At the start of the process, once."""
    number = os.environ.pop(VARIABLE, "")  # not for the processes that this one starts
    if not number:
        return None
    file = int(number)
    try:
        return Ledger(file)
    finally:
        os.close(file)


class Ledger:
    """Notes claims in `file`, from `begin` on.

    Attributes:
        left: what the one before left; None if there was none.
    """

    def __init__(self, file: int) -> None:
        self._map: Final = mmap.mmap(file, _SIZE)
        self.left: Final = self._read()
        self._free: list[int] = []
        self._begun = False

    def begin(self, worker: str) -> None:
        """From here on it is the ledger of `worker`; what was left is forgotten."""
        for entry in range(_ENTRIES):
            _LENGTH.pack_into(self._map, entry * _ENTRY, 0)
        self._begun = True
        self._write(_WHO * _ENTRY, worker.encode(), 0.0)
        self._free = [entry * _ENTRY for entry in range(_ENTRIES) if entry != _WHO]

    def end(self) -> None:
        """The worker ends in order: it leaves nothing to be seen to. One that never began leaves all as it was."""
        if self._begun:
            self._free.clear()
            _LENGTH.pack_into(self._map, _WHO * _ENTRY, 0)

    def note(self, flight: Flight) -> None:
        """The claim of `flight` is ours, as long as nothing else is said."""
        receipt = flight.claim.receipt
        if self._free and len(receipt) <= _ROOM:
            flight.entry = at = self._free.pop()
            self._write(at, receipt, flight.deadline)

    def renew(self, flight: Flight) -> None:
        """Its deadline has moved. From any thread: one that has just been struck off is worth no lock."""
        if at := flight.entry:
            _DEADLINE.pack_into(self._map, at + _DEADLINE_AT, flight.deadline)

    def strike(self, flight: Flight) -> None:
        """The claim is about to be settled, and may be somebody else's in a moment."""
        if at := flight.entry:
            flight.entry = 0
            _LENGTH.pack_into(self._map, at, 0)
            self._free.append(at)

    def _write(self, at: int, text: bytes, deadline: float) -> None:
        start = at + _TEXT_AT
        self._map[start : start + len(text)] = text
        _DEADLINE.pack_into(self._map, at + _DEADLINE_AT, deadline)
        _LENGTH.pack_into(self._map, at, len(text))

    def _read(self) -> Left | None:
        found = {text: deadline for entry in range(_ENTRIES) if entry != _WHO for text, deadline in self._entry(entry)}
        return next((Left(text.decode(), found) for text, _ in self._entry(_WHO)), None)

    def _entry(self, entry: int) -> list[tuple[bytes, float]]:
        """Its text and deadline, if there is something."""
        at = entry * _ENTRY
        (length,) = _LENGTH.unpack_from(self._map, at)
        if not 0 < length <= _ROOM:
            return []
        (deadline,) = _DEADLINE.unpack_from(self._map, at + _DEADLINE_AT)
        return [(self._map[at + _TEXT_AT : at + _TEXT_AT + length], deadline)]
