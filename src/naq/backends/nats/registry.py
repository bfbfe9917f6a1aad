"""Who lives and who leads: messages that vanish by themselves when nobody renews them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from naq import clock
from naq.backends.base import WorkerInfo
from naq.backends.nats import messages, topology
from naq.backends.nats.api import read_ack
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.events import Events
from naq.backends.nats.fetch import NAK
from naq.exceptions import NaqConnectionError, NaqException
from naq.names import check_token

_log = logging.getLogger("naq.nats")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(WorkerInfo).decode
HOLD: Final = 0.8  # share of the ttl that a leader acts on: it must stop before the broker lets somebody else in


class _Leader(msgspec.Struct, frozen=True):
    holder: str


_decode_leader: Final = msgspec.json.Decoder(_Leader).decode


def _read(data: bytes) -> WorkerInfo | None:
    """What a worker said; None where it is none of ours, or much newer than we are."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return None


def _holder(data: bytes) -> str:
    """Who holds a leadership; nobody we know where a stranger wrote it. It runs out like any other."""
    try:
        return _decode_leader(data).holder
    except msgspec.DecodeError:
        return ""


def place(receipt: bytes) -> tuple[bytes, int] | None:
    """What a receipt is for: the same for every delivery of a message. None where it is no receipt."""
    if not receipt.startswith(b"$JS.ACK.") or receipt.split() != [receipt]:
        return None
    try:
        return messages.Receipt(receipt).place
    except (ValueError, IndexError):
        return None


class Word(NamedTuple):
    """What a worker said last, when by the broker's clock (UNIX seconds), and the sequence of that."""

    info: WorkerInfo
    at: float
    sequence: int


def _alive(_subject: bytes, _reply: bytes, _payload: bytes, _header: bytes) -> None:
    """Interest is the answer; nobody needs to say anything."""


class Registry(Events):
    """The `Registry` protocol."""

    async def register(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Say that `worker` lives; also answer probes, as long as this process is connected."""
        self.must_be_open()
        subject = self.subjects.worker(check_token("worker id", worker.id))
        if worker.id not in self._probed:
            self._probed[worker.id] = self.link.listen(self.subjects.probe(worker.id), _alive)
        await self.courier.publish(
            subject.encode(), _encode(worker), messages.block(messages.ttl(ttl)), timeout=self.config.publish_timeout
        )

    def on_linked(self) -> None:
        """Nothing is probed yet; what a broker keeps in memory only is made again after it was away."""
        super().on_linked()
        self._probed: dict[str, int] = {}
        self._terms: dict[str, tuple[str, int]] = {}  # holder and sequence of our last word on a leadership
        self._seen_up = False
        self.link.on_up.append(self._up)

    def _up(self) -> None:
        # The first time `open` makes all streams; later it may be another broker's life.
        if self._seen_up:
            self.spawn(self._revive())
        self._seen_up = True

    async def _revive(self) -> None:
        try:
            await topology.ensure_live(self.js, self.config, self.subjects)
        except NaqConnectionError:
            return  # it is away again, and this is done again when it is back
        except NaqException as error:
            _log.error("nobody can be told who lives, because stream %s cannot be made: %s", self.subjects.live, error)

    async def unregister(self, worker_id: str) -> None:
        """Say that it has gone, in a way that nobody takes for a death: it left no claims behind."""
        self.must_be_open()
        subject = self.subjects.worker(check_token("worker id", worker_id))
        if (token := self._probed.pop(worker_id, None)) is not None:
            self.link.unlisten(token)
        there = await self.js.last(self.subjects.live, subject)
        if there is not None and (info := _read(there.data)) is not None:
            await self._say_stopped(info, messages.ttl(self.config.worker_ttl))

    async def _say_stopped(self, info: WorkerInfo, lines: str) -> None:
        """Keep a last word for `info` that holds nothing, with header `lines`."""
        await self.courier.publish(
            self.subjects.worker(info.id).encode(),
            _encode(replace(info, state="stopped", claims=[])),
            messages.block(lines),
            timeout=self.config.publish_timeout,
        )

    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        """Hand its claims back, unless somebody else does; see `Registry.died`."""
        self.must_be_open()
        there = await self.js.last(self.subjects.live, self.subjects.worker(check_token("worker id", worker_id)))
        if there is None or (info := _read(there.data)) is None or info.state == "stopped":
            return 0
        return await self.take_back(info, claims, word=there.sequence)

    async def take_back(self, info: WorkerInfo, claims: Sequence[bytes], *, word: int) -> int:
        """NAK `claims` of a dead worker whose last word is the message `word` (0: it has run out); how many.

        Whoever says that it has stopped is the only one to do this: later on the broker would take a NAK of the old
        delivery for one of the new, which is somebody else's. That is kept as long as anybody may remember the worker.
        """
        lost = [receipt for receipt in claims if place(receipt) is not None]
        lasting = max(self.config.worker_ttl, self.config.lease)
        try:
            await self._say_stopped(info, f"{messages.EXPECT}: {word}\r\n{messages.ttl(lasting)}")
        except Conflict:
            return 0
        for receipt in lost:
            self.settle(receipt, NAK)
        return len(lost)

    async def workers(self) -> list[WorkerInfo]:
        """Who lives; see `Registry.workers`."""
        self.must_be_open()
        return [word.info for word in await self.registered() if word.info.state != "stopped"]

    async def registered(self) -> list[Word]:
        """The last words of the same, and of those that said goodbye a moment ago."""
        subject = self.subjects.worker("*")
        return [
            Word(info, messages.stored_at(message.time), message.sequence)
            async for message in self.js.walk(self.subjects.live, subject)
            if (info := _read(message.data)) is not None
        ]

    async def lead(self, name: str, holder: str, *, ttl: float) -> float | None:
        """Take or renew a leadership by compare-and-set; see `Registry.lead`."""
        self.must_be_open()
        subject = self.subjects.lease(check_token("leadership", name))
        check_token("holder", holder)
        if (ours := self._terms.pop(subject, None)) is not None and ours[0] == holder:
            # A leader asks every few seconds for as long as it lives, and mostly nobody has come in between.
            until = await self._lead(subject, holder, ours[1], ttl)
            if until is not None:
                return until
        there = await self.js.last(self.subjects.live, subject)
        if there is not None and _holder(there.data) != holder:
            return None
        return await self._lead(subject, holder, 0 if there is None else there.sequence, ttl)

    async def _lead(self, subject: str, holder: str, expect: int, ttl: float) -> float | None:
        """Take the leadership where the last word on it is `expect`."""
        before = clock.monotonic()
        header = messages.block(f"{messages.EXPECT}: {expect}\r\n" + messages.ttl(ttl))
        try:
            payload, _ = await self.courier.publish(subject.encode(), _encode(_Leader(holder)), header, timeout=ttl)
        except Conflict:
            return None
        self._terms[subject] = (holder, read_ack(payload))
        deadline = before + ttl * HOLD
        return deadline if deadline > clock.monotonic() else None

    async def resign(self, name: str, holder: str) -> None:
        """Give a leadership up; see `Registry.resign`."""
        self.must_be_open()
        there = await self.js.last(self.subjects.live, self.subjects.lease(check_token("leadership", name)))
        if there is not None and _holder(there.data) == holder:
            await self.js.delete(self.subjects.live, there.sequence)
