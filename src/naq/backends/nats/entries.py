"""Small values by name: the last message on a subject of STATE, whose sequence is its version."""

from __future__ import annotations

from typing import Final

from naq.backends.base import Entry
from naq.backends.nats import messages
from naq.backends.nats.api import Message, read_ack
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.session import Session
from naq.job import new_id
from naq.names import check_key, check_token

#: Set by the broker on what it leaves where a message ran out, for `subject_delete_marker_ttl`: there is no value.
_MARKER: Final = "Nats-Marker-Reason"


class Entries(Session):
    """The `Entries` protocol."""

    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        """Keep a value, compared and set; see `Entries.put`."""
        self.must_be_open()
        subject = self._subject(kind, key)
        lines = "" if expect is None else f"{messages.EXPECT}: {expect}\r\n"
        if ttl is not None:
            lines += messages.ttl(ttl)
        nonce = new_id()  # our own first try, whose answer was lost, may stand in the way of the next
        try:
            return await self._put(subject, value, f"{lines}{messages.NONCE}: {nonce}\r\n")
        except Conflict:
            there = await self.js.last(self.subjects.state, subject)
        if there is None:
            return None
        if there.headers.get(messages.NONCE) == nonce:
            return there.sequence
        if expect == 0 and _MARKER in there.headers:
            # It ran out, and the broker's note of that is no value.
            return await self.put(kind, key, value, expect=there.sequence, ttl=ttl)
        return None

    async def _put(self, subject: str, value: bytes, lines: str) -> int:
        payload, _ = await self.courier.publish(
            subject.encode(), value, messages.block(lines), timeout=self.config.publish_timeout
        )
        return read_ack(payload)

    async def entry(self, kind: str, key: str) -> Entry | None:
        """What is kept; see `Entries.entry`."""
        self.must_be_open()
        there = await self.js.last(self.subjects.state, self._subject(kind, key))
        return None if there is None else self._read(there)

    async def entries(self, kind: str, *, under: str = "") -> list[Entry]:
        """All of a kind; see `Entries.entries`."""
        self.must_be_open()
        if under:
            self._subject(kind, under)
        check_token("kind", kind)
        found = self.subjects.entry(kind, f"{under}.>" if under else ">")
        read = [self._read(message) async for message in self.js.walk(self.subjects.state, found)]
        return sorted((entry for entry in read if entry is not None), key=lambda entry: entry.key)

    async def remove(self, kind: str, key: str, *, expect: int | None = None) -> bool:
        """Remove a value; see `Entries.remove`."""
        self.must_be_open()
        subject = self._subject(kind, key)
        while True:
            there = await self.js.last(self.subjects.state, subject)
            if there is None or self._read(there) is None or expect not in {None, there.sequence}:
                return False
            # By its sequence, so that one that replaced it meanwhile stays.
            if await self.js.delete(self.subjects.state, there.sequence):
                return True

    def _subject(self, kind: str, key: str) -> str:
        check_token("kind", kind)
        return self.subjects.entry(kind, check_key(kind, key))

    def _read(self, message: Message) -> Entry | None:
        if _MARKER in message.headers:
            return None
        kind, _, key = message.subject.removeprefix(self.subjects.entry("", "")[:-1]).partition(".")
        return Entry(kind=kind, key=key, value=message.data, version=message.sequence)
