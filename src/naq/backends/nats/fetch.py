"""Claiming jobs: delivery is the claim, so it costs no write; and keeping claims alive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Claim, Extended, Health
from naq.backends.nats import messages, topology
from naq.backends.nats.api import Message
from naq.backends.nats.client.inbox import new_inbox
from naq.backends.nats.client.lane import Delivered, Lane
from naq.backends.nats.client.link import PROBE
from naq.backends.nats.session import Session
from naq.backends.nats.subjects import ALL_LANES, consumer, key_of
from naq.exceptions import BackendError, NaqConnectionError, NaqException
from naq.job import new_id
from naq.names import is_token

_log = logging.getLogger("naq.nats")

COMPLAIN_EVERY: Final = 10.0  # seconds between two log lines about lanes that are gone
ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
PROBES: Final = 15  # in a lease: how exactly its beginning is known; what is not known is taken off it
_JOIN_AGAIN: Final = 0.5  # seconds between two tries to stand in line, each of which takes its time by itself


class Fetch(Session):
    """`JobQueue.fetch` and `extend`."""

    def on_linked(self) -> None:
        """Pulls die with their connection; buffered deliveries do not."""
        super().on_linked()
        self._background: set[asyncio.Task[None]] = set()
        self.loop = asyncio.get_running_loop()
        self._fetching: dict[str, int] = {}
        self._fetched: set[str] = set()
        self._complain_at = 0.0
        self.link.on_down.append(self.puller.forget)
        self.link.on_up.append(self.puller.arrived)
        self.link.on_tick.append(self._tick)
        self.on_close.append(self.puller.arrived)

    def health(self) -> Health:
        """See `Session.health`; and what is asked for and delivered."""
        known = super().health()
        if not hasattr(self, "puller"):
            return known
        lanes = [lane for each in list(self.puller.lanes.values()) for lane in each]
        cached, asked = sum(len(lane.buffer) for lane in lanes), sum(lane.outstanding for lane in lanes)
        return replace(known, cached=cached, asked=asked)

    async def fetch(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        lease: float,  # noqa: ARG002 - the seam asks for it
        wait: float,
    ) -> list[Claim]:
        """Claim jobs; see `JobQueue.fetch`. The lease is the consumer's `ack_wait`, whatever is asked for."""
        self.must_be_open()
        if limit <= 0 or not queues:
            return []
        until = clock.monotonic() + wait
        if not (lanes := await self._line_up(queues, until)):
            return []
        if len(queues) > 1:
            lanes.sort(key=lambda lane: -lane.weight)
        puller = self.puller
        fetching, asked = self._fetching, False
        for queue in queues:
            fetching[queue] = fetching.get(queue, 0) + 1
        try:
            while True:
                if claims := self._claims(puller.take(lanes, limit)):
                    return claims
                if not asked:
                    # The jobs that the last fetch brought take their first step before more is asked for.
                    asked = True
                    await asyncio.sleep(0)
                    continue
                left = until - clock.monotonic()
                if left <= 0 or self.is_closed:
                    return claims
                puller.ask(lanes, limit)
                await puller.wait(left)
        finally:
            for queue in queues:
                fetching[queue] -= 1
            self._fetched.update(queues)
            self.link.hurry()

    def _claims(self, taken: list[tuple[Lane, float, Delivered]]) -> list[Claim]:
        claims: list[Claim] = []
        span = self.config.lease - self.margin
        for lane, since, delivered in taken:
            subject, receipt, payload, header = delivered
            at = subject.rindex(b".")
            job_id = subject[at + 1 :].decode("utf-8", "replace")
            words = messages.Receipt(receipt)
            lane.backlog = words.pending
            if not is_token(job_id):
                self.spawn(self._refuse_id(lane.queue, receipt, payload, header))
                continue
            key = "" if subject[at - 2 : at] == b".-" else key_of(subject.decode("utf-8", "replace"))
            claims.append(
                Claim(
                    job=messages.read_job(job_id, lane.queue, lane.priority, payload, header, key),
                    receipt=receipt,
                    deadline=since + span,
                    delivered=words.delivered,
                    claimed_at=since,
                )
            )
        return claims

    async def _line_up(self, queues: Sequence[str], until: float) -> list[Lane]:
        """The lanes of `queues`; none where we were closed meanwhile. An outage is waited for, as jobs are."""
        while True:
            try:
                return [lane for queue in queues for lane in self.puller.lanes.get(queue) or await self._join(queue)]
            except (BackendError, NaqConnectionError):
                if self.is_closed:
                    return []
                if clock.monotonic() >= until:
                    raise
            await asyncio.sleep(_JOIN_AGAIN)

    async def _join(self, queue: str) -> list[Lane]:
        """Stand in line for `queue`."""
        await self.know(queue)
        await asyncio.gather(
            *(topology.raise_lease(self.js, self.config, self.subjects, queue, priority) for priority in ALL_LANES)
        )
        if (lanes := self.puller.lanes.get(queue)) is not None:
            return lanes
        made: list[Lane] = []
        for priority in ALL_LANES:
            lane = Lane(self.link, self.subjects.jobs, consumer(queue, priority), queue, priority, self.puller.arrived)
            lane.open(new_inbox())
            made.append(lane)
        self.puller.lanes[queue] = made
        self.link.probe_every = min(PROBE, self.config.lease / PROBES)
        self.on_joined(queue)
        return made

    def on_joined(self, queue: str) -> None:
        """Listen to what concerns the line for `queue`; parts of the backend add to it."""

    async def before_close(self) -> None:
        """Stop pulling, and give back what came and was not taken, so that somebody else has it at once."""
        await super().before_close()
        lanes = [lane for lanes in self.puller.lanes.values() for lane in lanes]
        for lane in lanes:
            lane.stop()
        if lanes:
            await self.link.flush()
        for lane in lanes:
            while lane.buffer:
                self.settle(lane.buffer.popleft()[1][1], NAK)

    async def after_close(self) -> None:
        """What runs beside the callers ends: whatever it waits for has failed."""
        await super().after_close()
        await asyncio.gather(*self._background, return_exceptions=True)

    def spawn(self, work: object) -> None:
        """Run a coroutine beside the caller, to its end."""
        assert asyncio.iscoroutine(work)
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _tick(self) -> None:
        self.puller.look()
        for queue, lanes in self.puller.lanes.items():
            if not self._fetching.get(queue):  # who waits takes it in a moment, however long our loop was blocked
                for delivered in self.puller.overheld(lanes):
                    self.spawn(self.hand_back(delivered))
                if queue not in self._fetched:
                    # Nobody has asked since the last tick: every slot is taken. Let the broker give the jobs to others.
                    for lane in lanes:
                        if lane.outstanding:
                            lane.withdraw()
                            self.link.hurry()
                        lane.doubt()
                if any(lane.outstanding or lane.buffer for lane in lanes):
                    self.link.hurry()
            for lane in lanes:
                if lane.missing:
                    lane.missing = False
                    self.spawn(self._mend(lane))
        self._fetched.clear()

    async def _mend(self, lane: Lane) -> None:
        """Make a consumer again that an operator deleted."""
        try:
            for make in (topology.ensure_lane, topology.raise_lease):  # somebody else may have made it, with another
                await make(self.js, self.config, self.subjects, lane.queue, lane.priority)
        except NaqConnectionError:
            return  # the link says so
        except NaqException as error:
            # The lane's next refused pull starts it again.
            if clock.monotonic() >= self._complain_at:
                self._complain_at = clock.monotonic() + COMPLAIN_EVERY
                _log.error(
                    "nothing of queue %s can be claimed, because stream %s or its consumer %s is gone and cannot be "
                    "mended: %s. If somebody deleted the stream, its waiting jobs went with it; the next producer or "
                    "worker that starts makes it again",
                    lane.queue,
                    self.subjects.jobs,
                    lane.name,
                    error,
                )

    async def hand_back(self, delivered: Delivered) -> None:
        """Put a job that found no slot here back in line, uncounted: published anew in its own place.

        A NAK would count as a delivery, and a small busy worker could talk a healthy job into the dead letters.
        """
        subject, receipt, payload, header = delivered
        kept = messages.parse_headers(header) if header else {}
        # Looked up before it runs: it may have been cancelled while it was here, and counted as running.
        kept[messages.REPUBLISH] = "1"
        lines = "".join(f"{k}: {v}\r\n" for k, v in kept.items() if not k.startswith("Nats-"))
        sequence = messages.Receipt(receipt).sequence
        guard = f"{messages.EXPECT}: {sequence}\r\n"
        # Refused or unanswered: the lease runs out and the broker hands it on.
        with contextlib.suppress(NaqException):
            await self.courier.publish(subject, payload, messages.block(guard + lines), timeout=self.config.lease / 2)

    async def extend(
        self,
        claims: Sequence[Claim],
        *,
        lease: float,  # noqa: ARG002 - as in fetch
    ) -> Extended:
        """Renew claims, each confirmed by the broker; see `JobQueue.extend`."""
        self.must_be_open()
        before = clock.monotonic()
        timeout = max(self.config.lease / 3, 0.2)
        answers, marks = await asyncio.gather(
            asyncio.gather(
                *(self.courier.request(claim.receipt.decode(), b"+WPI", timeout=timeout) for claim in claims),
                return_exceptions=True,
            ),
            asyncio.gather(
                *(self._mark(claim.job.id, timeout=timeout) for claim in claims),
                return_exceptions=True,  # whether it is cancelled can be asked again; its lease is what matters
            ),
        )
        span = self.config.lease - self.margin
        deadlines: dict[str, float] = {}
        failed: BaseException | None = None
        for claim, answer in zip(claims, answers, strict=True):
            if isinstance(answer, BaseException):
                failed = answer
            else:
                deadlines[claim.job.id] = before + span
        if failed is not None and not deadlines:
            raise failed
        cancelled = [claim.job.id for claim, mark in zip(claims, marks, strict=True) if isinstance(mark, Message)]
        return Extended(deadlines, frozenset(cancelled))

    async def marked(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Which of these jobs somebody asked to cancel."""
        marks = await asyncio.gather(*(self._mark(job_id) for job_id in job_ids))
        return frozenset(job_id for job_id, mark in zip(job_ids, marks, strict=True) if mark is not None)

    def _mark(self, job_id: str, *, timeout: float | None = None) -> Coroutine[Any, Any, Message | None]:
        """The request to cancel a job, if there is one."""
        return self.js.last(self.subjects.state, self.subjects.cancel_mark(job_id), timeout=timeout)

    async def _refuse_id(self, queue: str, receipt: bytes, payload: bytes, header: bytes) -> None:
        with contextlib.suppress(NaqException):  # it comes again
            await self.refuse(queue, receipt, payload, header, "the job id in the subject is no name")

    async def refuse(self, queue: str, receipt: bytes, payload: bytes, header: bytes, reason: str) -> None:
        """Keep a message that is no job as a dead letter, raw, then drop it."""
        kept = messages.parse_headers(header) if header else {}
        lines = f"{messages.REASON}: {messages.header_value(reason)}\r\n" + "".join(
            f"Naq-Was-{name}: {messages.header_value(value)}\r\n" for name, value in kept.items() if is_token(name)
        )
        subject = self.subjects.malformed(queue, new_id()).encode()
        await self.courier.publish(subject, payload, messages.block(lines), timeout=self.config.publish_timeout)
        self.settle(receipt, b"+TERM " + messages.header_value(reason).encode())

    def settle(self, receipt: bytes, word: bytes) -> None:
        """Tell the broker what became of a delivery; unanswered and unrepeated, because the record is the truth."""
        if (wire := self.link.wire) is not None:
            wire.send(b"PUB %b %d\r\n%b\r\n" % (receipt, len(word), word))
