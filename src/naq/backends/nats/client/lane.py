"""One lane of one queue as a worker sees it: standing pulls, what they brought, and what the broker said about them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from naq import clock
from naq.backends.nats.client.courier import REPUBLISH
from naq.backends.nats.client.link import Link
from naq.job import Priority

_log = logging.getLogger("naq.nats")

EXPIRES: Final = 30.0  # seconds a pull stands; then it is asked again
HEARTBEAT: Final = 5.0  # seconds between the broker's signs that a pull still stands (at most half of EXPIRES)
MISSED: Final = 2.2  # heartbeats without a word after which the pull is taken for dead (it dies with its server)
BACKOFF_FIRST: Final = 0.1  # seconds before asking again after a refusal
BACKOFF_MOST: Final = 2.0  # seconds; a leaderless consumer answers at once, and a loop would ask 5,000 times a second
DOUBTFUL: Final = 10_000
"""Deliveries after a reconnect that are looked up before they run. A broker that was killed forgets what it handed out
in its last 0.1 s and hands it out again as if for the first time; those are at most a lane's claims (`topology`)."""
_NS: Final = 1_000_000_000

WEIGHT: Final[dict[Priority, int]] = {"high": 6, "normal": 3, "low": 1}
"""Share of the free slots that a lane with a backlog gets beside the others; low never starves."""

Delivered = tuple[bytes, bytes, bytes, bytes]
"""Subject, receipt, payload, header block."""


class Lane:
    """Pulls for one consumer.

    Attributes:
        outstanding: messages asked for and not yet delivered or given up.
        buffer: what was delivered and not yet taken, with the time from which its lease counts.
        backlog: how many more the broker had at the last delivery.
        credit: slots that are its due by weight and that it did not get yet.
        missing: its consumer seems to be gone.
    """

    def __init__(
        self, link: Link, stream: str, name: str, queue: str, priority: Priority, arrived: Callable[[], None]
    ) -> None:
        self._link = link
        self.stream = stream
        self.name = name
        self.queue = queue
        self.priority: Priority = priority
        self.weight = WEIGHT[priority]
        self._arrived = arrived
        self.outstanding = 0
        self.backlog = 0
        self.buffer: deque[tuple[float, Delivered]] = deque()
        self.credit = 0.0
        self.missing = False
        self._base = self._inbox = b""
        self._generation = 0
        self._token: int | None = None
        self._number = 0
        self._heard_at = 0.0
        self._asked_at = 0.0
        self._not_before = 0.0
        self._pause = BACKOFF_FIRST
        self._doubtful = 0
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}".encode()

    def open(self, inbox: str) -> None:
        """Listen where pulls are answered."""
        self._base = inbox.encode()
        self._inbox = self._base + b".0."
        self._token = self._link.listen(inbox + ".0.*", self._on_message)

    def withdraw(self) -> None:
        """Take standing pulls back, ready to ask again; what is on its way still comes, to `buffer`."""
        self.stop()
        self._generation += 1
        self._inbox = b"%b.%d." % (self._base, self._generation)
        self._token = self._link.listen(self._inbox.decode() + "*", self._on_message)

    def stop(self) -> None:
        """Ask for no more: the broker drops the pulls. What was on its way still comes, to `buffer`."""
        if self._token is not None:
            self._link.mute(self._token)
            self._token = None
        self.outstanding = 0

    def forget(self) -> None:
        """The connection is gone, and every pull with it, and perhaps what the broker knew of its deliveries."""
        self.outstanding = 0
        self.backlog = 0
        self._doubtful = DOUBTFUL
        self.doubt()

    def doubt(self) -> None:
        """Let the record of whatever waits in `buffer` be looked at before it runs: its case may have changed."""
        if self.buffer:
            self.buffer = deque((since, _doubted(delivered)) for since, delivered in self.buffer)

    def pull(self, batch: int) -> None:
        """Ask for up to `batch` messages; they are pushed as they come."""
        wire = self._link.wire
        now = clock.monotonic()
        if wire is None or self._token is None or now < self._not_before:
            return
        self._number += 1
        self.outstanding += batch
        self._asked_at = self._heard_at = now
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (batch, int(EXPIRES * _NS), int(HEARTBEAT * _NS))
        wire.send(b"PUB %b %b%d %d\r\n%b\r\n" % (self._subject, self._inbox, self._number, len(body), body))

    def look(self, now: float) -> None:
        """Give up pulls that the broker has fallen silent about."""
        if self.outstanding and now - self._heard_at > HEARTBEAT * MISSED:
            _log.debug("%s: pulls fell silent, asking again", self.name)
            self.outstanding = 0
            self._arrived()
        elif not self.outstanding and self._not_before:
            if now >= self._not_before:
                self._not_before = 0.0
                self._arrived()
            else:
                self._link.hurry()

    def _on_message(self, subject: bytes, reply: bytes, payload: bytes, header: bytes) -> None:
        self._heard_at = clock.monotonic()
        if reply and not header.startswith(b"NATS/1.0 "):
            if self.outstanding > 0:
                self.outstanding -= 1
            self._pause = BACKOFF_FIRST
            # When the broker sent it, and its lease began, is not known; that it was after this, is.
            delivered = (subject, reply, payload, header)
            if self._doubtful > 0:
                self._doubtful -= 1
                delivered = _doubted(delivered)
            self.buffer.append((self._link.fenced_at, delivered))
            self._arrived()
            return
        self._on_status(header[9:12], header)

    def _on_status(self, status: bytes, header: bytes) -> None:
        if status == b"100":  # idle heartbeat
            return
        if status in {b"404", b"408"} or (status == b"409" and b"Batch Completed" in header):
            self.outstanding = max(0, self.outstanding - _unserved(header))
            if self.outstanding == 0:
                self.backlog = 0
            self._arrived()
            return
        # Whatever else it says, the pulls are over.
        self.outstanding = 0
        if status == b"409" and (b"Leadership Change" in header or b"Server Shutdown" in header):
            pause = BACKOFF_FIRST
        else:
            self.missing = b"Deleted" in header or status == b"503"
            pause, self._pause = self._pause, min(self._pause * 2, BACKOFF_MOST)
        self._not_before = clock.monotonic() + pause
        self._link.hurry()
        _log.debug("%s: pull ended: %s", self.name, header[9:80])


def _doubted(delivered: Delivered) -> Delivered:
    """The same, marked as a job that may have been seen before, so that its record is looked at before it runs."""
    subject, reply, payload, header = delivered
    if not header or REPUBLISH in header:
        return delivered
    return subject, reply, payload, header[:-2] + REPUBLISH + b"\r\n"


def _unserved(header: bytes) -> int:
    """How many messages of an ended pull were not delivered, as its status says."""
    at = header.find(b"Nats-Pending-Messages: ")
    if at < 0:
        return 0
    return int(header[at + 23 : header.find(b"\r\n", at)])
