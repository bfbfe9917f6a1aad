"""Messages that are stored and will never be delivered: found by counting, mended by asking the record."""

from __future__ import annotations

import logging

from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import CONSUMER_NOT_FOUND, Conflict
from naq.backends.nats.registry import Registry
from naq.backends.nats.settle import read_record
from naq.backends.nats.subjects import PRIORITY, place_of

_log = logging.getLogger("naq.upkeep")


class Audit:
    """Compares, per lane, what is stored with what its consumer knows of.

    They may differ for a moment, because the two are not read at once; so only a lane that differs in two rounds is
    looked into, and only up to where the first of them found everything acknowledged: what is still stored there one
    round later will stay for ever.
    """

    def __init__(self, session: Registry) -> None:
        self._session = session
        self._suspects: dict[str, int] = {}  # ack floors by consumer

    async def round(self, limit: int) -> int:
        """Look at every lane; how many messages were repaired."""
        repaired = 0
        for queue in await self._session.queue_names():
            for priority in PRIORITY.values():
                repaired += await self._lane(queue, priority, limit)
        if repaired:
            _log.error("%d stored jobs had become undeliverable and were repaired; is the disk sound?", repaired)
        return repaired

    async def _lane(self, queue: str, priority: str, limit: int) -> int:
        session = self._session
        letter = next(short for short, name in PRIORITY.items() if name == priority)
        name = f"{queue}_{letter}"
        subject = f"{session.subjects.prefix}.j.q.{queue}.{letter}.*.*"
        stored = await session.js.count(session.subjects.jobs, subject)
        info = await session.js.try_call(f"CONSUMER.INFO.{session.subjects.jobs}.{name}", absent=CONSUMER_NOT_FOUND)
        if info is None:
            return 0
        known = int(info["num_pending"]) + int(info["num_ack_pending"])
        # With nothing claimed, all that was delivered is settled; a message that was given up holds the floor back.
        settled = info["ack_floor"] if info["num_ack_pending"] else info["delivered"]
        floor = int(settled["stream_seq"])
        if stored <= known:
            self._suspects.pop(name, None)
            return 0
        suspect = self._suspects.get(name)
        self._suspects[name] = floor
        if suspect is None:
            return 0
        repaired = 0
        async for message in session.js.walk(session.subjects.jobs, subject, limit=limit):
            if message.sequence > suspect:
                break
            repaired += await self._mend(message)
        return repaired

    async def _mend(self, message: Message) -> bool:
        """Delete what has its final record; put the rest back in line."""
        session = self._session
        _, queue, _, job_id = place_of(message.subject)
        record = read_record(await session.js.last(session.subjects.log, session.subjects.record(queue, job_id)))
        if record is not None and record.run >= messages.number(message.headers.get(messages.RUN)):
            return await session.js.delete(session.subjects.jobs, message.sequence)
        kept = {k: v for k, v in message.headers.items() if not k.startswith("Nats-")}
        lines = {messages.EXPECT: str(message.sequence), messages.REPUBLISH: "1", **kept}
        header = messages.block("".join(f"{k}: {v}\r\n" for k, v in lines.items()))
        try:
            await session.courier.publish(
                message.subject.encode(), message.data, header, timeout=session.config.publish_timeout
            )
        except Conflict:
            return False
        return True
